"""From settings to the streams that are listened to: rules, and whose keys are looked for where."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from extauthz.config.settings import Settings
from extauthz.errors import FetchError
from extauthz.keeper.streams import open_signal_desk, rules_of, stream_keys
from extauthz.ports import Fetched, KeysOf
from extauthz.server.egress import rules_of as egress_rules_of
from extauthz.server.fetch import Ask, Reply
from extauthz.telemetry.statemetrics import StateMetrics
from tests.simulators.clock import ManualClock
from tests.simulators.events import ALICE, RECEIVER, STREAM_ID, TRANSMITTER, EventMaker
from tests.simulators.hearing import hearing
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.server.keys import IssuerKeys

MAKER = EventMaker(alg="RS256")
METADATA = f"{TRANSMITTER}/.well-known/ssf-configuration"
KEYS = "https://keys.transmitter.example/jwks"


@dataclass
class Web:
    """What a transmitter serves, by URL.

    Attributes:
        pages: what is there.
        asked: in order.
    """

    pages: dict[str, dict[str, Any]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, ask: Ask) -> Reply:
        """Serve a page, or nothing."""
        self.asked.append(ask.url)
        if ask.url not in self.pages:
            message = "nothing is there"
            raise FetchError(message)
        return Reply(json.dumps(self.pages[ask.url]).encode())


def settings(*others: dict[str, Any], **changes: Any) -> Settings:
    """Return settings of a server with a stream; `changes` are of that, `others` are further streams' own."""
    first = {
        "name": "idp",
        "issuer": TRANSMITTER,
        "keys": {"discovery": True},
        "audience": RECEIVER,
        "stream_id": STREAM_ID,
        "push": {"authorization_file": "secret"},
        "authority": {"issuers": [ISSUER], "events": ["session-revoked"]},
        **changes,
    }
    return Settings.model_validate(
        {
            "policy": ["p.yaml"],
            "state": {"path": "state.db", "keep_revocations": "2h"},
            "issuers": [{"issuer": ISSUER, "keys": {"file": "keys.json"}}],
            "signals": {"streams": [first, *({**first, **other} for other in others)]},
        }
    )


@contextmanager
def keys_of(loaded: Settings, web: Web) -> Iterator[IssuerKeys]:
    """Yield the keys of the transmitters, fetched once."""
    keys = stream_keys(loaded, fetch=web, clock=ManualClock())
    keys.start(wait=30)
    try:
        yield keys
    finally:
        keys.stop()


def web(**metadata: Any) -> Web:
    """Return a transmitter that serves its metadata and its keys; `metadata` replace."""
    return Web({METADATA: {"issuer": TRANSMITTER, "jwks_uri": KEYS, **metadata}, KEYS: MAKER.jwks()})


def test_rules_are_those_of_the_settings() -> None:
    """Every one of them."""
    (stream,) = settings(
        algorithms=["RS256"],
        leeway="7s",
        critical_subject_members=["org_unit"],
        authority={
            "issuers": [ISSUER],
            "tenants": ["acme"],
            "events": ["session-revoked", "account-disabled"],
            "sub_formats": ["email"],
        },
    ).signals.streams
    rules = rules_of(stream, 60.0)
    assert (rules.name, rules.source, rules.issuer, rules.audience) == ("idp", "stream idp", TRANSMITTER, RECEIVER)
    assert (rules.algorithms, rules.leeway, rules.stream_id, rules.keep) == (("RS256",), 7, STREAM_ID, 60)
    assert (rules.issuers, rules.tenants) == ((ISSUER,), ("acme",))
    assert rules.sub_formats == {"email"}
    assert rules.events == {"session-revoked", "account-disabled"}
    assert rules.critical == {"org_unit"}


def test_keys_are_discovered_by_the_transmitters_own_metadata() -> None:
    """Not by those of an authorization server; the host of the issuer may be called, where the keys are is named."""
    transmitter = web()
    loaded = settings()
    with keys_of(loaded, transmitter) as keys:
        assert keys.find_key(TRANSMITTER, "k1", "RS256") is not None
        assert keys.find_key(TRANSMITTER, "k1", "ES256") is None
        assert keys.find_key(ISSUER, "k1", "RS256") is None
    assert transmitter.asked == [METADATA, KEYS]
    assert egress_rules_of(loaded).hosts == {"transmitter.example"}


@pytest.mark.parametrize(
    "metadata", [{"issuer": "https://x.example"}, {"jwks_uri": "http://127.0.0.1/"}, {"jwks_uri": 7}]
)
def test_metadata_of_somebody_else_bring_no_keys(metadata: dict[str, Any]) -> None:
    """They must name the transmitter, and must not lead away from https."""
    with keys_of(settings(), web(**metadata)) as keys:
        assert keys.find_key(TRANSMITTER, "k1", "RS256") is None
        assert keys.fetch(KeysOf(TRANSMITTER), 1.0) is Fetched.UNAVAILABLE


def test_two_streams_of_one_transmitter_share_its_keys() -> None:
    """Each may use algorithms of its own."""
    transmitter = web()
    loaded = settings({"name": "b", "algorithms": ["ES256"]}, algorithms=["RS256"])
    transmitter.pages[KEYS] = MAKER.jwks(EventMaker(kid="k2"))
    with keys_of(loaded, transmitter) as keys:
        assert keys.find_key(TRANSMITTER, "k1", "RS256") is not None
        assert keys.find_key(TRANSMITTER, "k2", "ES256") is not None
    assert transmitter.asked == [METADATA, KEYS]


def test_the_desk_of_the_settings_hears_events(tmp_path: Path) -> None:
    """With keys that were discovered; what is revoked is kept as long as the settings say."""
    with hearing(tmp_path) as office, keys_of(settings(), web()) as keys:
        desk = open_signal_desk(
            settings(),
            office.keeper,
            keys,
            clock=office.clock,
            verifications=office.verifications,
            metrics=StateMetrics(CollectorRegistry()),
        )
        assert desk.hear("idp", MAKER.event("session-revoked", ALICE)).status == "accepted"
        assert office.verdict() == "session_revoked"
        session = {"format": "complex", "user": ALICE, "session": {"format": "opaque", "id": "s"}}
        assert desk.hear("idp", MAKER.event("session-revoked", session, jti="2")).status == "accepted"
        with office.keeper.reading() as query:
            kept = [row[0] - office.clock.now() for row in query("SELECT until FROM restrictions ORDER BY until", ())]
    assert kept == [7200, float("inf")]
