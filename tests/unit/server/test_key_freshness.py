"""A key set is confirmed by its server, and no bad set is; an issuer may have none."""

from __future__ import annotations

from extauthz.config.issuers import IssuerSettings
from extauthz.ports import Fetched
from extauthz.server.keys import IssuerKeys
from tests.simulators.clock import ManualClock
from tests.simulators.documents import Documents
from tests.simulators.tokens import ISSUER
from tests.unit.server.test_keys import COOL_DOWN, NEED, NEW, OLD, PATIENCE, URL, started


def test_a_server_that_says_not_modified_confirms_the_set_as_of_then() -> None:
    """The set is the same and as young as the answer; its bytes did not travel again."""
    with started() as stage:
        stage.documents.headers[URL] = {"etag": '"v1"'}
        stage.clock.advance(COOL_DOWN)
        assert stage.fetch() is Fetched.DONE
        epoch = stage.keys.epoch(ISSUER)
        stage.clock.advance(7000)
        assert stage.fetch() is Fetched.DONE
        assert stage.documents.asked[-1].etag == '"v1"'
        stage.clock.advance(7000)
        assert stage.knows(OLD)
        assert stage.keys.epoch(ISSUER) == epoch


def test_a_version_of_a_bad_set_is_never_held() -> None:
    """Or the server would confirm with 304 what we could not use, for ever."""
    with started() as stage:
        stage.documents.headers[URL] = {"etag": '"bad"'}
        stage.serve(b"<html>")
        stage.clock.advance(COOL_DOWN)
        assert stage.fetch() is Fetched.UNAVAILABLE
        stage.clock.advance(COOL_DOWN)
        assert stage.fetch() is Fetched.UNAVAILABLE
        assert [ask.etag for ask in stage.documents.asked] == ["", "", ""]
        stage.serve(NEW.jwks())
        stage.clock.advance(COOL_DOWN)
        assert stage.fetch() is Fetched.DONE
        assert stage.knows(NEW)


def test_an_issuer_without_keys_has_none() -> None:
    """It is asked about each token; nobody waits for keys, and readiness does not miss them."""
    settings = IssuerSettings.model_validate(
        {
            "issuer": ISSUER,
            "tokens": "opaque",
            "introspection": {"endpoint": URL, "client": {"id": "us", "secret_file": "secret"}},
        }
    )
    keys = IssuerKeys([settings], fetch=Documents().fetch, clock=ManualClock(), fetch_slots=1)
    keys.start(wait=PATIENCE)
    assert keys.fetch(NEED, PATIENCE) is Fetched.UNAVAILABLE
    assert keys.find_key(ISSUER, "old", "ES256") is None
    assert keys.unavailable_issuers() == ()
    keys.stop()
