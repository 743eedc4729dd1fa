"""One object of the token grants the whole right; rights of two objects are never put together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.model.identity import Identity
from extauthz.model.reason import Reason
from extauthz.policy.rules import MET, Failed, Unmet
from tests.simulators.policies import found, make_facts, principal, refused, requirement

if TYPE_CHECKING:
    from extauthz.policy.rules import Finding

KIND = "authorization_details"
READ_CONTACTS = {"type": "address-book", "actions": ["read"], "datatypes": ["contacts"]}
WRITE_PHOTOS = {"type": "address-book", "actions": ["write"], "datatypes": ["photos"]}


def asked(argument: str, *details: dict[str, Any], **attributes: Any) -> Finding:
    """Return what the requirement finds for a token with these details."""
    identity = Identity(subject=principal(), authorization_details=details)
    return found(KIND, argument, make_facts(identity, attributes))


def test_an_object_that_grants_it_all_is_enough() -> None:
    """Type, actions, locations, datatypes, privileges and identifier, and more than is asked for."""
    granted = {
        "type": "payment",
        "actions": ["initiate", "status"],
        "locations": ["https://a.example", "https://b.example"],
        "datatypes": ["sepa"],
        "privileges": ["standard"],
        "identifier": "staging",
    }
    wanted = (
        '{type: payment, actions: [initiate], locations: "https://a.example", datatypes: [sepa], '
        'privileges: [standard], identifier: "{resource.environment}"}'
    )
    assert asked(wanted, granted, environment="staging") is MET
    for name in granted:
        less = {key: value for key, value in granted.items() if key != name}
        assert isinstance(asked(wanted, less, environment="staging"), Unmet)
    assert isinstance(asked(wanted, granted, environment="production"), Unmet)


def test_members_of_two_objects_are_never_put_together() -> None:
    """Who may read contacts and write photos may not write contacts (RFC 9396 section 3)."""
    both = (READ_CONTACTS, WRITE_PHOTOS)
    assert asked("{type: address-book, actions: [read], datatypes: [contacts]}", *both) is MET
    assert asked("{type: address-book, actions: [write], datatypes: [photos]}", *both) is MET
    finding = asked("{type: address-book, actions: [write], datatypes: [contacts]}", *both)
    assert isinstance(finding, Unmet)
    assert finding.reason is Reason.AUTHORIZATION_DETAILS_MISSING
    assert isinstance(asked("{type: address-book, actions: [read, write], datatypes: [contacts]}", *both), Unmet)


@pytest.mark.parametrize("typ", ["Address-Book", "address-book ", "address", "photos"])
def test_another_type_grants_nothing(typ: str) -> None:
    """Compared exactly."""
    assert isinstance(asked(f"{{type: {typ!r}, actions: [read], datatypes: [contacts]}}", READ_CONTACTS), Unmet)


def test_no_details_grant_nothing() -> None:
    """Absent and empty alike."""
    assert isinstance(asked("{type: address-book, actions: [read]}"), Unmet)


@pytest.mark.parametrize(
    "member", [{"locations": ["https://b.example"]}, {"amount": {"value": 5}}, {"identifier": "42"}], ids=repr
)
def test_a_member_that_the_rule_does_not_name_may_limit_the_right(member: dict[str, Any]) -> None:
    """So the object does not grant, unless the rule says that the member may be anything."""
    granted = {**READ_CONTACTS, **member}
    wanted = "type: address-book, actions: [read], datatypes: [contacts]"
    assert isinstance(asked(f"{{{wanted}}}", granted), Unmet)
    assert asked(f"{{{wanted}, ignore: [{next(iter(member))}]}}", granted) is MET


def test_further_members_are_compared_as_text() -> None:
    """What a type of its own adds."""
    wanted = '{type: payment, members: {creditor: "{resource.tenant}"}}'
    assert asked(wanted, {"type": "payment", "creditor": "acme"}, tenant="acme") is MET
    for creditor in ("globex", ["acme"], None, {"acme": "acme"}):
        assert isinstance(asked(wanted, {"type": "payment", "creditor": creditor}, tenant="acme"), Unmet)


def test_a_number_fills_a_place() -> None:
    """As in scopes."""
    assert asked('{type: p, identifier: "{resource.size}"}', {"type": "p", "identifier": "7"}, size=7) is MET


@pytest.mark.parametrize(
    "wanted", ['{type: p, identifier: "{resource.tenant}"}', '{type: p, actions: ["{resource.tenant}"]}']
)
def test_a_fact_that_is_not_known_fails(wanted: str) -> None:
    """Failed is neither held nor not held."""
    assert isinstance(asked(wanted, {"type": "p", "identifier": "", "actions": [""]}), Failed)


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("{actions: [read]}", "type"),
        ("{type: p}", "names no right"),
        ("{type: p, ignore: [x]}", "names no right"),
        ("{type: '', actions: [read]}", ""),
        ("{type: p, actions: []}", ""),
        ("{type: p, action: [read]}", "action"),
        ("{type: p, members: {actions: read}}", "has a key of its own"),
        ("{type: p, actions: [read], ignore: [actions]}", "asked for and ignored"),
        ("{type: p, identifier: '{resource.tenat}'}", "is not a fact"),
        ("{type: p, identifier: '{resource.urgent}'}", "is a bool"),
        ("{type: p, identifier: 'a}b'}", "a brace stands alone"),
        ("[payment]", ""),
        ("payment", ""),
    ],
)
def test_what_asks_for_nothing_or_is_misspelt_is_refused_at_load(argument: str, complaint: str) -> None:
    """With its place in the file."""
    assert complaint in refused(KIND, argument).message


def test_what_it_reads_is_known() -> None:
    """For the explanation of rules, and for attributes that must be declared."""
    wanted = '{type: p, identifier: "{resource.tenant}/{resource.size}", actions: ["{resource.environment}"]}'
    assert requirement(KIND, wanted).reads == {"resource.tenant", "resource.size", "resource.environment"}


words = st.lists(st.sampled_from("ab"), min_size=1, max_size=2, unique=True)
objects = st.fixed_dictionaries(
    {"type": st.sampled_from(["t", "u"])}, optional={"actions": words, "locations": words, "datatypes": words}
)


@given(st.lists(objects, max_size=3), objects.filter(lambda right: len(right) > 1))
def test_it_holds_exactly_when_one_object_alone_lists_everything(
    granted: list[dict[str, Any]], right: dict[str, Any]
) -> None:
    """Held against the sentence of the standard, written down once more without our code."""
    lists = {name: value for name, value in right.items() if name != "type"}
    argument = ", ".join([f"type: {right['type']}", *(f"{name}: {value}" for name, value in lists.items())])
    alone = any(
        one["type"] == right["type"]
        and set(one) == set(right)
        and all(set(value) <= set(one[name]) for name, value in lists.items())
        for one in granted
    )
    assert (asked(f"{{{argument}}}", *granted) is MET) is alone
