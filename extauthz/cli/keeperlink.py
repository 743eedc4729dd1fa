"""How commands ask the keeper of a running server: over `admin.sock` in its `server.run_dir`."""

from __future__ import annotations

import os
import pwd
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, NoReturn

import typer

from extauthz.cli.problems import EXIT_CONFIG, or_exit
from extauthz.config.load import load_settings
from extauthz.errors import LinkError
from extauthz.link.caller import LinkCaller

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extauthz.config.settings import Settings

SOCKET: Final = "admin.sock"
EXIT_NO_KEEPER: Final = 1
"""Exit code when the keeper does not answer, or answers that it could not."""

_SECONDS: Final = 30.0
"""Longest that an answer is waited for: more than the keeper waits for workers and other machines."""


def settings_or_exit(config: Path | None) -> Settings:
    """Return the settings; exit when they are wrong, or have no state that anything could be put into."""
    settings = or_exit(lambda: load_settings(config))
    if settings.state is None:
        where = config if config is not None else "the settings"
        leave(f"{where}: nothing can be revoked without a state; set `state: {{path: FILE}}`", EXIT_CONFIG)
    return settings


def find_keeper(settings: Settings) -> bool:
    """Return whether a keeper answers."""
    try:
        with closing(LinkCaller(settings.server.run_dir / SOCKET)) as caller:
            caller.ask({"op": "status"}, _SECONDS)
    except LinkError:
        return False
    return True


def ask(settings: Settings, question: Mapping[str, Any], *, wait: float = 0.0) -> dict[str, Any]:
    """Return the keeper's answer; exit with 1 when there is none, or when it says that it could not.

    Args:
        settings: of the server.
        question: `op` and what that needs.
        wait: seconds that the keeper is asked to wait before it answers.
    """
    path = settings.server.run_dir / SOCKET
    try:
        with closing(LinkCaller(path)) as caller:
            answer = caller.ask(question, _SECONDS + wait)
    except LinkError as error:
        leave(_no_keeper(path, error))
    if "error" in answer:
        leave(str(answer["error"]))
    return answer


def _no_keeper(path: Path, error: LinkError) -> str:
    try:
        owner = path.parent.stat().st_uid  # Nobody else can look into it.
    except OSError:
        owner = os.geteuid()
    if owner != os.geteuid():
        return (
            f"{path.parent} belongs to {_name_of(owner)}, whose server it is; run this as that user: "
            f"`sudo -u {_name_of(owner)} extauthz …`"
        )
    return (
        f"no keeper answers: {error}\n"
        "Start the server, or name its settings with --config: `server.run_dir` says where its keeper is.\n"
        "While no server runs, `extauthz revoke … --offline` writes into the state file itself."
    )


def who() -> str:
    """Return who runs this, for people: the kernel's word, and under sudo also the user's own."""
    name = _name_of(os.getuid())
    behind = os.environ.get("SUDO_USER", "")
    return f"{name} (sudo by {behind})" if behind and behind.isprintable() and behind != name else name


def leave(message: str, code: int = EXIT_NO_KEEPER) -> NoReturn:
    """Say on standard error what is wrong and what to do, and exit."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
