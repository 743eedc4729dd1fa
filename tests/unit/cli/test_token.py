"""`extauthz token inspect`: where the token comes from, which profile, what is fetched, exit codes."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

import pytest
import structlog
import yaml
from typer.testing import CliRunner

from extauthz.cli.main import app
from tests.simulators.keyhost import KeyHost
from tests.simulators.tokens import ISSUER, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNER = CliRunner()
MAKER = TokenMaker()
OTHER = "https://other.example"


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Give logging back as it was."""
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


class Place:
    """A folder with settings and keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "settings.yaml"
        (folder / "jwks.json").write_text(json.dumps(MAKER.jwks()))
        self.write()

    def write(self, keys: dict[str, Any] | None = None, **changes: Any) -> None:
        """Write the settings."""
        settings = {
            "policy": ["policy.yaml"],
            "issuers": [
                {"issuer": ISSUER, "keys": keys or {"file": "jwks.json"}},
                {"issuer": OTHER, "keys": {"file": "missing.json"}},
            ],
            "profiles": {
                "api": {"issuers": [ISSUER], "audience": "https://api.example.com"},
                "other": {"issuers": [OTHER], "audience": "https://api.example.com"},
            },
            **changes,
        }
        self.file.write_text(yaml.safe_dump(settings))

    def run(self, *arguments: str, token: str | None = None, code: int = 0) -> str:
        """Return what the command prints, the token on standard input."""
        token = MAKER.mint(now=time.time()) if token is None else token
        done = RUNNER.invoke(app, ["token", "inspect", "--config", str(self.file), *arguments], input=token)
        assert done.exit_code == code, done.output + repr(done.exception)
        return done.output


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Return a folder with settings and keys."""
    return Place(tmp_path)


def test_a_token_on_standard_input_is_explained(place: Place) -> None:
    """With or without its scheme and line ends; the profile is the one that believes its issuer."""
    token = MAKER.mint(now=time.time())
    for text in (token, f"Bearer {token}\n", f"  dpop {token} \n"):
        assert "Checks by the profile `api`" in place.run(token=text)
    assert "ACCEPTED" in place.run(token, token="")
    assert "ACCEPTED" in place.run("-", token=token)


def test_a_refused_token_is_exit_code_1(place: Place) -> None:
    """In both forms."""
    assert "REFUSED: token_expired" in place.run(token=MAKER.mint(now=1), code=1)
    found = json.loads(place.run("--json", token=MAKER.mint(now=1), code=1))
    assert (found["accepted"], found["reason"], found["steps"][-1]["outcome"]) == (False, "token_expired", "refused")


def test_another_instant_can_be_looked_at(place: Place) -> None:
    """As of then the token was good."""
    token = MAKER.mint(now=1_790_000_000)
    assert "ACCEPTED" in place.run("--at", "2026-09-21T14:14:00Z", token=token)


def test_the_profile_can_be_named(place: Place) -> None:
    """A wrong name is suggested; one must be named where several could be meant."""
    assert "REFUSED: issuer_unknown" in place.run("--profile", "other", code=1)
    assert "did you mean `api`?" in place.run("--profile", "apis", code=2)
    assert "name a profile with --profile: api, other" in place.run(token="opaque", code=2)


@pytest.mark.parametrize("text", ["", "a b", "é"])
def test_what_is_no_token_is_exit_code_2(place: Place, text: str) -> None:
    """Nothing is judged."""
    assert "give one token" in place.run(token=text, code=2)


def test_offline_nothing_is_fetched(place: Place) -> None:
    """A configured URL is not asked; keys from a file can take its place."""
    host = KeyHost(MAKER.jwks())
    try:
        place.write(keys={"url": host.url})
        text = place.run("--offline", code=1)
        assert "NOT DECIDED: keys of https://issuer.example are unavailable" in text
        assert not host.asked.acquire(blocking=False)
        assert "ACCEPTED" in place.run("--offline", "--keys", str(place.folder / "jwks.json"))
        assert not host.asked.acquire(blocking=False)
        assert "ACCEPTED" in place.run()
        assert host.asked.acquire(blocking=False)
    finally:
        host.stop()


def test_the_registry_is_asked(place: Place) -> None:
    """Networks need an address; a mistake in it is told by line."""
    (place.folder / "r.yaml").write_text(
        f"identities: [{{name: d, match: {{issuer: {ISSUER}, subject: deployer}}, networks: [192.0.2.0/24]}}]\n"
    )
    place.write(registry={"paths": ["r.yaml"]})
    assert "NOT DECIDED" in place.run(code=1)
    assert "REFUSED: unexpected_network" in place.run("--address", "198.51.100.7", code=1)
    assert "name d, standing active" in place.run("--address", "192.0.2.7")
    (place.folder / "r.yaml").write_text("identities: 3\n")
    assert "r.yaml:1:13: `identities` must be a list" in place.run(code=2)


def test_an_address_that_is_none_is_exit_code_2(place: Place) -> None:
    """It would be in no network."""
    assert "--address" in place.run("--address", "localhost", code=2)


def test_a_certificate_that_cannot_be_read_is_exit_code_2(place: Place) -> None:
    """The file is named."""
    assert "nowhere.pem: cannot be read" in place.run("--certificate", "nowhere.pem", code=2)


def test_the_signature_is_never_printed(place: Place) -> None:
    """Also with --json."""
    token = MAKER.mint(now=time.time())
    for form in ((), ("--json",)):
        assert token.rsplit(".", maxsplit=1)[-1] not in place.run(*form, token=token)
