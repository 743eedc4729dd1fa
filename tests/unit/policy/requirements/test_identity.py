"""`identity`: everyone involved is among those listed."""

from __future__ import annotations

import pytest

from extauthz.model.identity import Identity, Kind
from extauthz.model.reason import Reason
from extauthz.policy.rules import MET, Unmet
from tests.simulators.policies import ISSUER, found, make_facts, principal, refused

USER = principal("ann", Kind.USER, client="web")
AGENT = principal("bot", Kind.AGENT, client="bots")
NOBODY = principal("who", None)


@pytest.mark.parametrize(
    ("argument", "identity", "met"),
    [
        ("{kind: user}", Identity(subject=USER), True),
        ("{kind: [ci, service]}", Identity(subject=USER), False),
        ("{kind: user}", Identity(subject=USER, actor=AGENT), False),
        ("{kind: [user, agent]}", Identity(subject=USER, actor=AGENT), True),
        ("{kind: [user, agent]}", Identity(subject=USER, actor=AGENT, chain=(NOBODY,)), False),
        ("{kind: user}", Identity(subject=NOBODY), False),
        ("{kind: user, of: subject}", Identity(subject=USER, actor=AGENT), True),
        ("{kind: user, of: actor}", Identity(subject=USER, actor=AGENT), False),
        ("{kind: agent, of: actor}", Identity(subject=USER, actor=AGENT), True),
        ("{kind: user, of: actor}", Identity(subject=USER), True),
        (f"{{clients: [web, bots], issuers: '{ISSUER}'}}", Identity(subject=USER, actor=AGENT), True),
        (f"{{clients: [web], issuers: '{ISSUER}'}}", Identity(subject=USER, actor=AGENT), False),
        (f"{{subjects: ann, issuers: '{ISSUER}'}}", Identity(subject=USER), True),
        (f"{{subjects: bob, issuers: '{ISSUER}'}}", Identity(subject=USER), False),
        (f"{{issuers: '{ISSUER}'}}", Identity(subject=USER), True),
        ("{issuers: 'https://other.example'}", Identity(subject=USER), False),
        (f"{{kind: user, clients: [bots], issuers: '{ISSUER}'}}", Identity(subject=USER), False),
    ],
)
def test_the_parties_are_among_those_listed(argument: str, identity: Identity, met: object) -> None:
    """Everyone unless `of` says otherwise; what is not known is not listed; the lists add up."""
    assert (found("identity", argument, make_facts(identity)) is MET) is met


def test_another_identity_has_no_remedy() -> None:
    """Nobody can become somebody else."""
    assert found("identity", "{kind: ci}", make_facts(Identity(subject=USER))) == Unmet(Reason.FORBIDDEN)


@pytest.mark.parametrize(
    "argument",
    [
        *("{}", "{of: actor}", "{kind: []}", "{kind: agnet}", "{kinds: ci}", "ci", "{of: x}"),
        *("{subjects: ann}", "{kind: user, clients: web}"),  # of which issuer?
    ],
)
def test_what_lists_nobody_is_refused(argument: str) -> None:
    """When the policy is loaded."""
    assert refused("identity", argument).line == 1
