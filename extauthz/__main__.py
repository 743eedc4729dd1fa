"""`python -m extauthz` is the command line."""

from extauthz.cli.main import app

if __name__ == "__main__":
    app()
