"""Looking up everybody involved: what is found, by which names, and at what cost."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest

from extauthz.errors import Refusal
from extauthz.model.identity import Identity, Principal
from extauthz.model.reason import Reason
from extauthz.model.registry import NOT_DECLARED
from extauthz.registry.doubts import find_doubts
from extauthz.registry.index import Match, Registry
from extauthz.registry.live import LiveRegistry
from tests.simulators.registry import registry

I = "https://issuer.example"  # noqa: E741 — as short as it can be in the tables below
J = "https://other.example"

SAMPLE = registry(
    """
identities:
  - {name: sub, match: {issuer: ISSUER, subject: x}}
  - {name: cli, match: {issuer: ISSUER, client: x}}
  - {name: load, match: {issuer: ISSUER, workload: x}}
bindings:
  - {who: sub, role: of-subject}
  - {who: cli, role: of-client}
  - {who: load, role: of-workload}
"""
)


def caller(subject: Principal, *actors: Principal, workload: str = "") -> Identity:
    """Return a caller and its actors."""
    return Identity(subject=subject, actor=actors[0] if actors else None, chain=actors[1:], workload=workload)


def names(identity: Identity) -> list[list[str]]:
    """Return the names of the entries about each party."""
    return [[entry.name for entry in each.entries] for each in SAMPLE.find_declared(identity)]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (caller(Principal(issuer=I, subject="x")), [["sub"]]),
        (caller(Principal(issuer=I, subject="y", client="x")), [["cli"]]),
        (caller(Principal(issuer=I, subject="y"), workload="x"), [["load"]]),
        (caller(Principal(issuer=I, subject="y"), workload=f"{I}|x"), [["load"]]),
        (caller(Principal(issuer=I, subject="y"), workload=f"{J}|x"), [[]]),
        (caller(Principal(issuer=I, subject="x", client="x"), workload="x"), [["sub", "load", "cli"]]),
        (caller(Principal(issuer=J, subject="x", client="x"), workload="x"), [[]]),
        (caller(Principal(issuer=I, subject="X")), [[]]),
        (caller(Principal(issuer=I, subject="y"), Principal(issuer=I, subject="x"), workload="x"), [["load"], ["sub"]]),
        (
            caller(
                Principal(issuer=I, subject="y"),
                Principal(issuer=I, subject="y", client="x"),
                Principal(issuer=I, subject="z"),
                Principal(issuer=I, subject="x"),
            ),
            [[], ["cli"], [], ["sub"]],
        ),
    ],
)
def test_everybody_is_found_by_exact_names(identity: Identity, expected: list[list[str]]) -> None:
    """Subject, actor and chain in order; the most specific entry first; a workload key is the subject's only."""
    assert names(identity) == expected


def test_bindings_of_all_names_count() -> None:
    """A party has the roles that are bound to any of its names."""
    (found,) = SAMPLE.find_declared(caller(Principal(issuer=I, subject="x", client="x"), workload="x"))
    assert [binding.role for binding in found.bindings] == ["of-subject", "of-workload", "of-client"]


class Counting(UserDict[Match, Any]):
    """A mapping that counts how often it is asked."""

    asked = 0

    def get(self, key: Match, default: Any = None) -> Any:
        """Return the value, having counted."""
        self.asked += 1
        return self.data.get(key, default)

    def __iter__(self) -> Any:
        raise AssertionError


def test_the_number_of_look_ups_does_not_grow_with_the_registry() -> None:
    """With ten entries and ten thousand a caller costs three look-ups of entries and three of bindings."""
    costs = []
    for size in (10, 10_000):
        text = "".join(
            f"  - {{name: n{number}, match: {{issuer: ISSUER, subject: s{number}}}}}\n" for number in range(size)
        )
        text += "bindings:\n" + "".join(f"  - {{who: n{number}, role: r}}\n" for number in range(size))
        built = registry("identities:\n" + text)
        entries, bindings = Counting(built.registrations), Counting(built.bindings)
        found = Registry(registrations=entries, bindings=bindings).find_declared(
            caller(Principal(issuer=I, subject=f"s{size - 1}"))
        )
        assert [entry.name for entry in found[0].entries] == [f"n{size - 1}"]
        costs.append((entries.asked, bindings.asked))
    assert costs == [(3, 3), (3, 3)]


def test_what_is_replaced_raises_the_epoch_afterwards() -> None:
    """Whoever sees the new epoch sees the new registry."""
    live = LiveRegistry()
    seen = []

    class Telling(Registry):
        """Notes the epoch at which it is found."""

        def find_declared(self, identity: Identity) -> Any:
            """Note it."""
            del identity
            seen.append(live.epoch(""))
            return (NOT_DECLARED,)

    before = live.epoch("")
    live.replace(Telling())
    live.find_declared(caller(Principal(issuer=I, subject="x")))
    assert seen == [before + 1]
    assert live.current is not None


def test_without_a_registry_nobody_proven_is_let_in() -> None:
    """What could never be read may say that the caller is quarantined."""
    with pytest.raises(Refusal) as raised:
        LiveRegistry().find_declared(caller(Principal(issuer=I, subject="x")))
    assert raised.value.reason is Reason.EVIDENCE_UNAVAILABLE


def test_names_that_lead_nowhere_are_doubtful() -> None:
    """Issuers that are not configured, and attributes that no resource has; trust domains are no such issuers."""
    found = registry(
        """
identities:
  - {name: a, match: {issuer: https://isuer.example, subject: x}}
  - {name: b, match: {issuer: "spiffe://td", subject: x}}
bindings:
  - {who: a, role: r, where: {environmnet: staging, resource: thing, tenant: acme}}
"""
    )
    doubts = [str(doubt) for doubt in find_doubts(found, {I}, {"environment"})]
    about_nobody, holds_nowhere = doubts
    assert about_nobody == (
        "registry.yaml:3:5: the issuer `https://isuer.example` is not configured, so this is about nobody"
        " — did you mean `https://issuer.example`?"
    )
    assert holds_nowhere == (
        "registry.yaml:6:31: no resource has an attribute `environmnet`, so this binding holds nowhere"
        " — did you mean `environment`?"
    )
    assert len(find_doubts(found, {I}, None)) == 1
