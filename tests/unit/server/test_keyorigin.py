"""Where key sets come from, and which discovery documents are believed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.config.issuers import KeySettings
from extauthz.errors import FetchError
from extauthz.limits import MAX_JWKS_BYTES
from extauthz.server.discovery import discovery_locations, ssf_locations
from extauthz.server.keyorigin import KeyOrigin, Version, origin_of, refresh_interval
from tests.simulators.clock import ManualClock
from tests.simulators.documents import Documents

if TYPE_CHECKING:
    from pathlib import Path

ISSUER = "https://issuer.example"
OAUTH = f"{ISSUER}/.well-known/oauth-authorization-server"
OIDC = f"{ISSUER}/.well-known/openid-configuration"
KEYS = "https://keys.example/jwks"
HONEST = {"issuer": ISSUER, "jwks_uri": KEYS}


def settings(**keys: Any) -> KeySettings:
    """Return settings of keys; discovery unless told otherwise."""
    return KeySettings.model_validate(keys or {"discovery": True})


def discovery(documents: Documents, clock: ManualClock | None = None, **keys: Any) -> KeyOrigin:
    """Return an origin that discovers."""
    return origin_of(ISSUER, settings(**{"discovery": True, **keys}), documents.fetch, clock or ManualClock())


def web(**pages: Any) -> Documents:
    """Return documents: `oauth` and `oidc` are the two places of discovery, the key set is there."""
    documents = Documents()
    documents.pages = {KEYS: b"keys"}
    places = {"oauth": OAUTH, "oidc": OIDC}
    documents.pages.update({places[name]: page for name, page in pages.items()})
    return documents


@pytest.mark.parametrize(
    ("issuer", "locations"),
    [
        ("https://as.example", ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]),
        ("https://as.example/", ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]),
        (
            "https://as.example:8443/t1/",
            [
                "/.well-known/oauth-authorization-server/t1",
                "/.well-known/openid-configuration/t1",
                "/t1/.well-known/openid-configuration",
            ],
        ),
    ],
)
def test_discovery_locations_follow_both_standards(issuer: str, locations: list[str]) -> None:
    """RFC 8414 section 3 and OpenID Connect Discovery section 4."""
    base = "https://as.example" + (":8443" if ":8443" in issuer else "")
    assert list(discovery_locations(issuer)) == [base + location for location in locations]


def test_transmitters_have_their_metadata_in_places_of_their_own() -> None:
    """SSF 1.0, and the name from before it; their keys are found by them alone."""
    base = "https://idp.example/.well-known"
    assert list(ssf_locations("https://idp.example/t1/")) == [
        f"{base}/ssf-configuration/t1",
        f"{base}/risc-configuration/t1",
    ]
    assert list(ssf_locations("https://[")) == []
    documents = web(oauth=HONEST)
    origin = origin_of(ISSUER, settings(), documents.fetch, ManualClock(), ssf_locations)
    with pytest.raises(FetchError):
        origin.load(thorough=True)
    documents.pages[f"{ISSUER}/.well-known/ssf-configuration"] = HONEST
    assert origin.load(thorough=True).document == b"keys"


def test_an_issuer_that_is_no_url_has_no_discovery_document() -> None:
    """The failure says so."""
    documents = Documents()
    with pytest.raises(FetchError, match="not a URL"):
        origin_of("https://[", settings(), documents.fetch, ManualClock()).load(thorough=True)
    assert documents.fetched == []


@pytest.mark.parametrize("place", ["oauth", "oidc"])
def test_keys_are_found_by_discovery_in_either_place(place: str) -> None:
    """The first place that has an honest document is enough."""
    assert discovery(web(**{place: HONEST})).load(thorough=True).document == b"keys"


@pytest.mark.parametrize("page", [b"<html>", b"[]", {}, b'{"issuer":"a","issuer":"a"}', FetchError("down")], ids=repr)
def test_garbage_in_the_first_place_leaves_the_second(page: Any) -> None:
    """Servers that answer unknown paths with a page for people exist."""
    assert discovery(web(oauth=page, oidc=HONEST)).load(thorough=True).document == b"keys"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({**HONEST, "issuer": "https://evil.example"}, "another issuer"),
        ({**HONEST, "issuer": f"{ISSUER}/"}, "another issuer"),
        ({**HONEST, "issuer": None}, "another issuer"),
        ({**HONEST, "issuer": [ISSUER]}, "another issuer"),
        ({"jwks_uri": KEYS}, "another issuer"),
        ({"issuer": ISSUER}, "no `jwks_uri`"),
        ({"issuer": ISSUER, "jwks_uri": 1}, "no `jwks_uri`"),
        (b"<html>", "not a strict JSON object"),
    ],
)
def test_a_lying_document_leads_nowhere(document: Any, says: str) -> None:
    """Its key set is not even asked for."""
    documents = web(oidc=document)
    with pytest.raises(FetchError, match=says):
        discovery(documents).load(thorough=True)
    assert KEYS not in documents.fetched


def test_a_known_place_is_asked_directly_when_a_request_is_waiting() -> None:
    """The background looks the place up again, so that a move is noticed."""
    documents = web(oauth=HONEST)
    origin = discovery(documents)
    origin.load(thorough=False)
    assert documents.fetched == [OAUTH, KEYS]
    origin.load(thorough=False)
    assert documents.fetched[2:] == [KEYS]
    documents.pages[OAUTH] = {"issuer": ISSUER, "jwks_uri": "https://keys.example/moved"}
    documents.pages["https://keys.example/moved"] = b"moved"
    assert origin.load(thorough=True).document == b"moved"
    assert origin.load(thorough=False).document == b"moved"


def test_discovery_and_key_set_share_one_deadline() -> None:
    """What discovery takes is missing for the key set; nothing is asked when nothing is left."""
    clock = ManualClock()
    documents = Documents(clock)
    documents.pages = {OAUTH: HONEST, KEYS: b"keys"}
    documents.takes = 0.75
    discovery(documents, clock, timeout=2.0).load(thorough=True)
    assert [ask.timeout for ask in documents.asked] == [2.0, 1.25]
    documents.takes = 2.0
    with pytest.raises(FetchError, match="in time"):
        discovery(documents, clock, timeout=2.0).load(thorough=True)
    assert len(documents.fetched) == 3


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:9/keys", "http://keys.example/jwks", "HTTP://127.0.0.1/", "//127.0.0.1/", ""]
)
def test_a_remote_document_does_not_lead_to_plain_http(uri: str) -> None:
    """The leave for loopback is for issuers on loopback, not for whoever wants us to ask our own machine."""
    documents = web(oauth={**HONEST, "jwks_uri": uri})
    documents.pages[uri] = b"keys"
    with pytest.raises(FetchError, match="away from https"):
        discovery(documents).load(thorough=True)
    assert uri not in documents.fetched
    assert discovery(documents, insecure_http=True).load(thorough=True).document == b"keys"
    assert documents.asked[-1].plain_http


def test_an_issuer_on_loopback_may_lead_to_loopback() -> None:
    """As in development; the egress client still refuses other plain http."""
    documents = Documents()
    issuer = "http://127.0.0.1:8000"
    documents.pages = {
        f"{issuer}/.well-known/openid-configuration": {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"},
        f"{issuer}/jwks": b"keys",
    }
    origin = origin_of(issuer, settings(), documents.fetch, ManualClock())
    assert origin.load(thorough=True).document == b"keys"
    assert not any(ask.plain_http for ask in documents.asked)


def test_a_fixed_url_is_fetched_as_it_stands() -> None:
    """No discovery; the operator's timeout and leave for plain http go along."""
    documents = web()
    origin = origin_of(ISSUER, settings(url=KEYS, timeout=3.0, insecure_http=True), documents.fetch, ManualClock())
    assert origin.load(thorough=True).document == b"keys"
    assert [(ask.url, ask.timeout, ask.plain_http) for ask in documents.asked] == [(KEYS, 3.0, True)]


def test_a_file_is_read_anew_each_time_and_never_whole_beyond_the_bound(tmp_path: Path) -> None:
    """One byte more than is accepted is enough for the parser to refuse it."""
    path = tmp_path / "keys.json"
    origin = origin_of(ISSUER, settings(file=path), Documents().fetch, ManualClock())
    with pytest.raises(FetchError, match="cannot be read"):
        origin.load(thorough=True)
    path.write_bytes(b"first")
    assert origin.load(thorough=True).document == b"first"
    path.write_bytes(b"x" * (MAX_JWKS_BYTES + 100))
    assert len(origin.load(thorough=False).document or b"") == MAX_JWKS_BYTES + 1


def test_files_are_looked_at_more_often_than_servers(tmp_path: Path) -> None:
    """A look costs nothing there; a shorter setting is kept."""
    assert refresh_interval(settings(file=tmp_path, refresh=300), None) == 5.0
    assert refresh_interval(settings(file=tmp_path, refresh=1), None) == 1.0
    assert refresh_interval(settings(url=KEYS, refresh=300), None) == 300.0


@pytest.mark.parametrize(
    ("said", "seconds"), [(None, 300.0), (0.0, 20.0), (19.0, 20.0), (60.0, 60.0), (299.0, 299.0), (86400.0, 300.0)]
)
def test_a_server_is_asked_again_when_it_says_within_floor_and_ceiling(said: float | None, seconds: float) -> None:
    """Too often would be a storm, too seldom would keep withdrawn keys."""
    assert refresh_interval(settings(url=KEYS, refresh=300, refresh_min=20), said) == seconds


def test_a_version_is_asked_for_by_name_at_the_place_it_came_from() -> None:
    """The server may say that it still stands; a version of another place is not asked for."""
    documents = web()
    documents.headers[KEYS] = {"etag": '"v1"', "cache-control": "max-age=60"}
    origin = origin_of(ISSUER, settings(url=KEYS), documents.fetch, ManualClock())
    first = origin.load(thorough=True)
    assert (first.document, first.version, first.fresh_for) == (b"keys", Version(KEYS, '"v1"'), 60.0)
    again = origin.load(thorough=True, have=first.version)
    assert (again.document, again.version, again.fresh_for) == (None, first.version, 60.0)
    elsewhere = origin.load(thorough=True, have=Version("https://keys.example/other", '"v1"'))
    assert elsewhere.document == b"keys"
    assert [ask.etag for ask in documents.asked] == ["", '"v1"', ""]
