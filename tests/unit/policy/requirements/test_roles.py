"""`roles`: the subject has all, or one, of them."""

from __future__ import annotations

import pytest

from extauthz.model.identity import Identity
from extauthz.model.reason import Reason
from extauthz.policy.rules import MET, Unmet
from tests.simulators.policies import found, make_facts, principal, refused, requirement


def identity(*roles: str) -> Identity:
    """Return a caller with these roles, on whose behalf somebody with every role acts."""
    actor = principal("a", roles=frozenset({"clerk", "boss"}))
    return Identity(subject=principal(roles=frozenset(roles)), actor=actor)


@pytest.mark.parametrize(
    ("argument", "roles", "met"),
    [
        ("clerk", ["clerk"], True),
        ("[clerk, boss]", ["clerk", "boss", "x"], True),
        ("[clerk, boss]", ["clerk"], False),
        ("[clerk]", [], False),
        ("{any_of: [clerk, boss]}", ["boss"], True),
        ("{any_of: [clerk, boss]}", ["x"], False),
        ("{any_of: clerk}", [], False),
        ("{all_of: [clerk, boss]}", ["clerk", "boss"], True),
        ("{all_of: [clerk, boss]}", ["clerk"], False),
    ],
)
def test_the_subject_has_the_roles(argument: str, roles: list[str], met: object) -> None:
    """All of a list or of `all_of`, one of `any_of`."""
    assert (found("roles", argument, make_facts(identity(*roles))) is MET) is met


@pytest.mark.parametrize(
    ("of", "met"), [("", False), (", of: everyone", False), (", of: subject", True), (", of: actor", False)]
)
def test_everyone_involved_needs_the_roles(of: str, met: object) -> None:
    """An actor without the role cannot borrow the subject's, unless the rule asks the subject alone."""
    delegated = Identity(subject=principal(roles=frozenset({"clerk"})), actor=principal("a"))
    assert (found("roles", f"{{any_of: [clerk]{of}}}", make_facts(delegated)) is MET) is met


def test_a_missing_role_has_no_remedy() -> None:
    """A client cannot give itself one; the sentence names what is needed."""
    finding = found("roles", "{any_of: [clerk, boss, aide]}", make_facts(identity()))
    assert isinstance(finding, Unmet)
    assert (finding.reason, finding.remedy) == (Reason.ROLE_MISSING, None)
    assert finding.detail == "Needed: aide, boss or clerk."
    assert requirement("roles", "[a]").reads == {"identity.roles", "actor.roles", "involved.roles"}


@pytest.mark.parametrize("argument", ["[]", "{}", "{any_of: []}", "{all_of: [a], any_of: [b]}", "[1]", "7", ""])
def test_what_names_no_roles_is_refused(argument: str) -> None:
    """When the policy is loaded."""
    assert refused("roles", argument).line == 1
