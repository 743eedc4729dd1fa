"""Settings about evidence that contradict each other are refused at load, with the place and the fix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from extauthz.config.evidence import all_introspect
from extauthz.config.insecure import weakenings
from extauthz.config.settings import Settings
from extauthz.server.policyfaces import policy_context

if TYPE_CHECKING:
    from collections.abc import Mapping

A, B = "https://a.example", "https://b.example"
CLIENT = {"id": "us", "secret_file": "secret"}
ASKED = {"endpoint": "https://a.example/ask", "client": CLIENT}
KEYS = {"file": "keys.json"}


def settings(*issuers: Mapping[str, Any], **changes: Any) -> Settings:
    """Return settings with these issuers, all of which one profile accepts."""
    named = [{"issuer": (A, B)[number], **issuer} for number, issuer in enumerate(issuers)]
    base = {
        "policy": ["p.yaml"],
        "issuers": named,
        "profiles": {"api": {"issuers": [each["issuer"] for each in named], "audience": "https://api.example"}},
    }
    return Settings.model_validate({**base, **changes})


def opaque(**changes: Any) -> dict[str, Any]:
    """Return an issuer of opaque tokens."""
    return {"tokens": "opaque", "introspection": {**ASKED, **changes}}


def listed(**changes: Any) -> dict[str, Any]:
    """Return an issuer with status lists."""
    return {"keys": KEYS, "status_list": {"uris": ["https://a.example/status/"], **changes}}


@pytest.mark.parametrize(
    ("issuers", "says"),
    [
        ([{}], "give `keys`"),
        ([{"tokens": "opaque"}], "needs `introspection`"),
        ([{"tokens": "opaque", "keys": KEYS}], "needs `introspection`"),
        ([opaque(), opaque()], "two issuers with `tokens: opaque`"),
        ([opaque(slots=16)], "smaller than server.threads"),
        ([opaque(discovery=True)], "exactly one of endpoint, discovery"),
        ([opaque(endpoint=None)], "exactly one of endpoint, discovery"),
        ([opaque(endpoint="issuer.example/ask")], "must be a URL"),
        ([opaque(cache=0)], "greater than or equal to 1"),
        ([opaque(cache_inactive="500ms")], "greater than or equal to 1"),
        ([opaque(client={"id": "us"})], "secret_file"),
        ([opaque(client={**CLIENT, "id": ""})], "at least 1 character"),
        ([opaque(client={**CLIENT, "secret": "x"})], "Extra inputs"),
        ([listed(uris=[])], "say in `uris`"),
        ([listed(uris=["https://a.example"])], "host and path"),
        ([listed(uris=["ftp://a.example/"])], "host and path"),
        ([listed(uris=["https:///x"])], "host and path"),
        ([listed(ignored=True)], "leaves nothing to configure"),
        ([listed(shortest="10s", longest="5s")], "longer than"),
        ([listed(issuer="https://nobody.example")], "configured issuer with `keys`"),
        ([listed(issuer=B), opaque()], "configured issuer with `keys`"),
        ([{**opaque(), "status_list": {"uris": ["https://a.example/s/"]}}], "configured issuer with `keys`"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(issuers: list[dict[str, Any]], says: str) -> None:
    """Each says what to write instead."""
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        settings(*issuers)


def test_what_fits_is_accepted() -> None:
    """One opaque issuer beside one that signs; lists signed by another issuer; lists that are ignored."""
    found = settings(opaque(), {"keys": KEYS})
    assert [issuer.tokens for issuer in found.issuers] == ["opaque", "jwt"]
    assert settings(listed(issuer=B), {"keys": KEYS}).issuers[0].status_list is not None
    ignoring = settings({"keys": KEYS, "status_list": {"ignored": True}}).issuers[0].status_list
    assert ignoring is not None
    assert ignoring.ignored


def test_policy_may_ask_for_a_fresh_look_where_every_issuer_can_be_asked() -> None:
    """One that cannot is enough to refuse it."""
    both = settings(opaque(), {"keys": KEYS, "introspection": ASKED})
    one = settings(opaque(), {"keys": KEYS})
    assert [all_introspect(found, found.profiles["api"]) for found in (both, one)] == [True, False]
    profiles = [policy_context(found).profiles for found in (both, one)]
    assert [found["api"].introspects for found in profiles if found is not None] == [True, False]


def test_every_weakening_is_said_aloud() -> None:
    """Plain text, and lists that nobody looks at."""
    found = settings(
        opaque(insecure_http=True),
        {"keys": KEYS, "status_list": {"uris": ["http://a.example/"], "insecure_http": True}},
    )
    names = weakenings(found)
    assert any(f"issuers[{A}].introspection.insecure_http" in line for line in names)
    assert any(f"issuers[{B}].status_list.insecure_http" in line for line in names)
    ignoring = weakenings(settings({"keys": KEYS, "status_list": {"ignored": True}}))
    assert any("status_list.ignored" in line for line in ignoring)
    assert weakenings(settings(opaque(), listed(uris=["https://b.example/s/"]))) == []
