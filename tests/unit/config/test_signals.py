"""Settings of streams: what fits together, and what is refused at start."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from extauthz.config.settings import Settings

ISSUER = "https://idp.example.com"


def stream(**changes: Any) -> dict[str, Any]:
    """Return settings of a stream; `changes` replace, None removes."""
    members = {
        "name": "idp",
        "issuer": ISSUER,
        "keys": {"url": "https://idp.example.com/keys"},
        "audience": "https://api.example.com",
        "push": {"authorization_file": "secret"},
        "authority": {"issuers": [ISSUER], "events": ["session-revoked"]},
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def settings(*streams: dict[str, Any], **changes: Any) -> Settings:
    """Return settings of a server that listens to `streams`."""
    members: dict[str, Any] = {
        "policy": ["p.yaml"],
        "state": {"path": "state.db"},
        "issuers": [{"issuer": ISSUER, "keys": {"url": "https://idp.example.com/keys"}}],
        "signals": {"streams": list(streams)},
        **changes,
    }
    return Settings.model_validate(members)


def test_streams_that_fit() -> None:
    """The control: one pushed, one polled, of one transmitter."""
    polled = stream(name="poll", push=None, poll={"url": "https://idp.example.com/poll"})
    assert [each.name for each in settings(stream(), polled).signals.streams] == ["idp", "poll"]


@pytest.mark.parametrize(
    ("streams", "problem"),
    [
        ([stream(), stream()], "same `name`"),
        ([stream(), stream(name="b", keys={"discovery": True})], "other `keys`"),
        ([stream(poll={"url": "https://idp.example.com/poll"})], "exactly one of push, poll"),
        ([stream(push=None)], "exactly one of push, poll"),
        ([stream(authority={"issuers": ["https://x.example"], "events": ["opt-in"]})], "not configured"),
        ([stream(authority={"issuers": [ISSUER], "events": ["session-ended"]})], "events"),
        ([stream(authority={"issuers": [ISSUER], "events": []})], "events"),
        ([stream(authority={"issuers": [], "events": ["opt-in"]})], "issuers"),
        (
            [stream(authority={"issuers": [ISSUER, "https://b"], "events": ["opt-in"], "sub_formats": ["email"]})],
            "exactly one of `issuers`",
        ),
        ([stream(algorithms=["HS256"])], "algorithms"),
        ([stream(algorithms=["none"])], "algorithms"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_could_not_take_effect_is_refused(streams: list[dict[str, Any]], problem: str) -> None:
    """With a message that names it."""
    with pytest.raises(ValidationError, match=problem):
        settings(*streams)


def test_signals_need_a_state() -> None:
    """What they report must be kept somewhere."""
    with pytest.raises(ValidationError, match="set `state"):
        settings(stream(), state=None)


def test_callers_with_certificates_can_be_reported_about() -> None:
    """Their issuers are those that profiles give them."""
    accept = [{"trust_domain": "prod.example"}, {"dns": "ci.example", "issuer": "https://ca.example"}]
    authority = {"issuers": ["spiffe://prod.example", "https://ca.example"], "events": ["session-revoked"]}
    profiles = {"mesh": {"certificates": {"accept": accept}}}
    assert settings(stream(authority=authority), profiles=profiles).signals.streams
    with pytest.raises(ValidationError, match="not configured"):
        settings(stream(authority=authority))
