"""`scopes`: the token has all of them, written from facts that are fit for it."""

from __future__ import annotations

import pytest

from extauthz.model.identity import Identity
from extauthz.model.reason import Reason
from extauthz.model.verdict import ObtainScopes
from extauthz.policy.requirements.scopes import Scopes
from extauthz.policy.rules import MET, Failed, Unmet
from tests.simulators.policies import found, make_facts, principal, refused, requirement


def identity(*scopes: str) -> Identity:
    """Return a caller with these scopes."""
    return Identity(subject=principal(), scopes=frozenset(scopes))


def test_all_scopes_are_needed() -> None:
    """Missing one, the remedy names all, held or not, so that one new token repairs it."""
    assert found("scopes", "[b, a]", make_facts(identity("a", "b", "c"))) is MET
    finding = found("scopes", "[b, a]", make_facts(identity("a")))
    assert isinstance(finding, Unmet)
    assert (finding.reason, finding.remedy) == (Reason.INSUFFICIENT_SCOPE, ObtainScopes(("a", "b")))
    assert found("scopes", "a", make_facts(identity("a"))) is MET


def test_no_scopes_at_all_are_never_met() -> None:
    """Nothing required is not everything held."""
    assert isinstance(Scopes(()).find(make_facts(identity("a"))), Unmet)


def test_placeholders_are_filled_from_facts() -> None:
    """Text and numbers; several in one scope."""
    facts = make_facts(identity("deploy:staging:2"), {"environment": "staging", "level": 2})
    text = '["deploy:{resource.environment}:{resource.level}"]'
    assert found("scopes", text, facts) is MET
    assert requirement("scopes", text).reads == {"identity.scopes", "resource.environment", "resource.level"}
    other = make_facts(identity("deploy:staging:2"), {"environment": "production", "level": 2})
    finding = found("scopes", text, other)
    assert isinstance(finding, Unmet)
    assert finding.remedy == ObtainScopes(("deploy:production:2",))


@pytest.mark.parametrize("value", ["a b", 'a"b', "a\\b", "a\nb", "ä", "", "\x7f"])
def test_a_value_that_is_no_part_of_a_scope_fails(value: str) -> None:
    """It would end the challenge or the scope, so it is neither met nor told to anyone."""
    facts = make_facts(identity("t:x"), {"tenant": value})
    assert isinstance(found("scopes", '["t:{resource.tenant}"]', facts), Failed)


def test_a_fact_that_is_not_known_fails() -> None:
    """The scope cannot be written; a flag in place of text is not taken for one either."""
    assert isinstance(found("scopes", '["t:{resource.tenant}"]', make_facts(identity("t:"))), Failed)
    assert isinstance(
        found("scopes", '["t:{resource.tenant}"]', make_facts(identity("t:True"), {"tenant": True})), Failed
    )


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("[]", "not empty"),
        ("''", "not empty"),
        ("{a: b}", "not empty"),
        ("[1]", "must be text"),
        ("['']", "must be text"),
        ('["a b"]', "not a scope"),
        ('["a{"]', "not a scope"),
        ('["a}b"]', "not a scope"),
        ('["{resource.tenat}"]', "`{resource.tenat}` is not a fact"),
        ('["{}"]', "`{}` is not a fact"),
        ('["{identity.scopes}"]', "is a list(string)"),
        ('["{resource.urgent}"]', "is a bool"),
    ],
)
def test_what_is_no_list_of_scopes_is_refused(argument: str, message: str) -> None:
    """When the policy is loaded."""
    assert message in refused("scopes", argument).message
