"""A token taken apart: what is told, and what is never told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.identity.certificate_rules import BindingRule
from extauthz.model.identity import Binding
from extauthz.model.reason import Reason
from extauthz.model.request import Source
from extauthz.nothing import NOTHING
from extauthz.ports import Fetched, KeysOf, Need
from extauthz.tokentools.inspection import Inspection, Means, inspect_token, read_unverified
from extauthz.tokentools.show import lines_of, to_document
from extauthz.tokentools.steps import NOT_MADE, REFUSED
from tests.simulators.dpop import RULES
from tests.simulators.profiles import profile
from tests.simulators.registry import registry
from tests.simulators.tokens import NOW, MemoryKeys, TokenMaker
from tests.unit.identity.test_opaque import TOKEN as OPAQUE
from tests.unit.identity.test_opaque import Memory, said
from tests.unit.identity.test_opaque import asked as rules_of_issuer

if TYPE_CHECKING:
    from extauthz.identity.rules import Profile

MAKER = TokenMaker()
KEYS = MAKER.key_source()
SECRET = "eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


class Fetcher:
    """Brings keys, or nothing."""

    def __init__(self, keys: MemoryKeys, *, works: bool) -> None:
        self.keys, self.works = keys, works
        self.asked: list[Need] = []

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Bring the keys when it works."""
        assert timeout > 0
        self.asked.append(need)
        if self.works:
            self.keys.add(MAKER)
        return Fetched.DONE if self.works else Fetched.UNAVAILABLE


def means(text: str = "", keys: MemoryKeys = KEYS, fetcher: Fetcher | None = None) -> Means:
    """Return what a token is judged by, with a registry of this text."""
    return Means(
        keys=keys,
        introspections=NOTHING,
        status_lists=NOTHING,
        fetcher=fetcher or Fetcher(MemoryKeys(), works=False),
        registry=registry(text),
    )


def inspected(token: str, text: str = "", believed: Profile | None = None, **source: Any) -> Inspection:
    """Return a token taken apart, with the keys in memory."""
    return inspect_token(token, believed or profile(), means(text), NOW, Source(**source))


def told(found: Inspection) -> str:
    """Return everything that is told about it, in both forms."""
    return "\n".join(lines_of(found, NOW)) + json.dumps(to_document(found, NOW))


ENTRY = "identities:\n  - {name: deployer, match: {issuer: ISSUER, subject: deployer}, owner: team-release"


def test_an_accepted_token_is_told_with_what_the_registry_says() -> None:
    """Caller, entries and bindings of everybody."""
    text = ENTRY + "}\nbindings: [{who: deployer, role: releaser, where: {environment: staging}, until: 2030-01-01}]\n"
    found = inspected(MAKER.mint(act={"sub": "bot", "kind": "agent"}), text)
    assert found.accepted
    lines = "\n".join(lines_of(found, NOW))
    assert "name deployer, owner team-release, standing active" in lines
    assert "role releaser where environment is staging, until 2030-01-01T00:00:00Z" in lines
    assert "What the registry says about bot:\n  nothing" in lines
    assert lines.endswith("ACCEPTED; policy decides what the caller may do.")
    document = to_document(found, NOW)
    assert (document["accepted"], document["reason"]) == (True, None)
    assert [party["entries"] for party in document["registry"]][1] == []
    assert document["identity"]["actor"]["kind"] == "agent"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (", standing: quarantined", Reason.IDENTITY_QUARANTINED),
        (", standing: disabled", Reason.IDENTITY_DISABLED),
        (", expires: 2020-01-01", Reason.IDENTITY_EXPIRED),
        (", kind: agent", Reason.IDENTITY_UNMAPPED),
        (", networks: [192.0.2.0/24]", Reason.UNEXPECTED_NETWORK),
    ],
)
def test_what_the_registry_refuses_is_refused(more: str, reason: Reason) -> None:
    """The last step says so, and the entry is told."""
    found = inspected(MAKER.mint(), ENTRY + more + "}\n", address="198.51.100.1")
    assert (found.reason, found.steps[-1].outcome) == (reason.value, REFUSED)
    assert found.declared[0].by_subject is not None
    assert f"REFUSED: {reason.value}" in told(found)


def test_without_an_address_networks_are_not_checked() -> None:
    """It is said, and nothing is promised."""
    found = inspected(MAKER.mint(), ENTRY + ", networks: [192.0.2.0/24]}\n")
    assert (found.accepted, found.reason, found.steps[-1].outcome) == (False, "", NOT_MADE)
    assert "NOT DECIDED: the registry lists networks" in told(found)


def test_a_refused_token_proves_nobody() -> None:
    """What it says is told as what it says."""
    found = inspected(MAKER.forge())
    assert (found.identity, found.declared, found.accepted) == (None, (), False)
    assert found.claims["sub"] == "deployer"
    lines = list(lines_of(found, NOW))
    assert lines[0] == "What the token says (anybody could have written this):"
    assert lines[-1] == "REFUSED: signature_invalid"


def test_what_is_no_jwt_is_told_as_such() -> None:
    """Nothing can be read in it."""
    found = inspected("opaque-token")
    assert read_unverified("opaque-token") == ({}, {})
    assert "not a JWT that can be read" in told(found)
    assert found.reason == "credentials_malformed"


def test_missing_keys_are_fetched() -> None:
    """As the server would, once."""
    keys = MemoryKeys()
    fetcher = Fetcher(keys, works=True)
    found = inspect_token(MAKER.mint(), profile(), means(keys=keys, fetcher=fetcher), NOW, Source())
    assert found.accepted
    assert fetcher.asked == [KeysOf(MAKER.issuer)]


def test_without_keys_nothing_is_decided() -> None:
    """It is neither accepted nor refused: the check could not be made."""
    found = inspect_token(MAKER.mint(), profile(), means(keys=MemoryKeys()), NOW, Source())
    assert (found.accepted, found.reason) == (False, "")
    assert (found.steps[-1].name, found.steps[-1].outcome) == (
        "the issuer has the key that the token names",
        NOT_MADE,
    )
    assert "NOT DECIDED: keys of https://issuer.example are unavailable" in told(found)


def test_a_remote_that_always_needs_more_does_not_keep_us() -> None:
    """After a few fetches it is left at that."""
    keys = MemoryKeys()

    class Forgetful(Fetcher):
        """Says that it brought something, about another issuer."""

        def fetch(self, need: Need, timeout: float) -> Fetched:
            """Bring nothing."""
            del timeout
            self.asked.append(need)
            return Fetched.DONE

    fetcher = Forgetful(keys, works=True)
    found = inspect_token(MAKER.mint(), profile(), means(keys=keys, fetcher=fetcher), NOW, Source())
    assert not found.accepted
    assert len(fetcher.asked) <= 3


def test_what_rules_may_ask_of_the_caller_is_told() -> None:
    """Sign-in, and the types of its rights."""
    rights = [{"type": "payment", "identifier": "42"}]
    found = inspected(MAKER.mint(acr="phr", amr=["hwk"], auth_time=NOW - 20, authorization_details=rights))
    document = to_document(found, NOW)["identity"]
    assert (document["acr"], document["amr"], document["auth_time"]) == ("phr", ["hwk"], "2026-09-21T14:13:00Z")
    assert document["authorization_details"] == ["payment"]


BOUND = {"jkt": "x" * 43}
WITH_PROOFS = replace(profile(), dpop=RULES)


def test_a_token_bound_to_a_key_is_accepted_but_for_its_proof() -> None:
    """A proof belongs to one request; every other check is made."""
    found = inspected(MAKER.mint(cnf=BOUND), believed=WITH_PROOFS)
    assert found.accepted
    assert found.identity is not None
    assert found.identity.binding is Binding.DPOP
    assert [step.name for step in found.steps if step.outcome == NOT_MADE] == [
        "the sender holds the key that the token is bound to"
    ]
    assert "ACCEPTED as far as it could be checked" in told(found)
    assert inspected(MAKER.forge(cnf=BOUND), believed=WITH_PROOFS).reason == "signature_invalid"


def test_an_opaque_token_bound_to_a_key_is_accepted_but_for_its_proof() -> None:
    """That it is bound is its issuer's word, not its own."""
    judged = replace(means(), introspections=Memory().say(**said(cnf=BOUND)))
    believed = profile(rules_of_issuer())
    assert inspect_token(OPAQUE, believed, judged, NOW, Source()).reason == "binding_mismatch"
    found = inspect_token(OPAQUE, replace(believed, dpop=RULES), judged, NOW, Source())
    assert found.accepted
    assert [step.outcome for step in found.steps].count(NOT_MADE) == 1


@pytest.mark.parametrize(
    ("confirmation", "believed", "says"),
    [
        (BOUND, profile(), "Authorization: DPoP"),
        (BOUND, replace(WITH_PROOFS, binding=BindingRule.MTLS), "client certificate"),
        (BOUND, replace(WITH_PROOFS, binding=BindingRule.NONE), "without `cnf`"),
        ({**BOUND, "x5t#S256": "x"}, WITH_PROOFS, "nothing else"),
        ({"kid": "k"}, WITH_PROOFS, "`x5t#S256` or `jkt`"),
    ],
)
def test_a_bound_token_that_no_resource_would_take_is_refused(
    confirmation: dict[str, str], believed: Profile, says: str
) -> None:
    """Where the profile takes no proofs or wants another binding, and where a proof would not show enough."""
    found = inspected(MAKER.mint(cnf=confirmation), believed=believed)
    assert found.reason == "binding_mismatch"
    assert says in found.steps[-1].detail


def test_nothing_secret_is_told() -> None:
    """Neither the signature, nor a token inside a claim; and nothing that steers a terminal."""
    hostile: dict[str, Any] = {"note": SECRET, "inner": {"list": [SECRET], "number": 3}, "\x1b]0;x\x07": "\x1b[2J"}
    token = MAKER.mint(**hostile)
    text = told(inspected(token))
    assert token.rsplit(".", maxsplit=1)[-1] not in text
    assert SECRET not in text
    assert "[redacted]" in text
    assert "\x1b" not in text
    assert "\x07" not in text
    assert SECRET in json.dumps(read_unverified(token)[1]), "the control: it was there"


@pytest.mark.parametrize("wrong", [1e300, -1e300, True, "soon"])
def test_times_that_are_none_are_told_as_they_are(wrong: Any) -> None:
    """A hostile `exp` must not break the tool that explains it."""
    found = inspected(MAKER.mint(exp=wrong))
    assert found.reason
    assert "exp" in told(found)
