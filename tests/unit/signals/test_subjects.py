"""Whom events are about: identifiers, complex subjects, and what callers are compared with."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.errors import SignalError
from extauthz.limits import MAX_CLAIM_STRING_BYTES, MAX_EVENT_SUBJECTS
from extauthz.model.restriction import Form, Mark
from extauthz.signals.identifiers import FORMATS, Identifier, read_identifiers
from extauthz.signals.subjects import Subject, Target, read_subject
from tests.simulators.events import ALICE, OTHER_ISSUER, stream_rules
from tests.simulators.tokens import ISSUER

RULES = stream_rules()
TWO = stream_rules(issuers=(ISSUER, OTHER_ISSUER))
ALICE_MARK = Mark(Form.SUBJECT, ISSUER, "alice")
EMAIL = {"format": "email", "email": "alice@example.com"}
SESSION = {"format": "opaque", "id": "s-1"}


def read(subject: dict[str, Any], rules: Any = RULES, principal: str = "user") -> Subject:
    """Return whom a subject names."""
    return read_subject(subject, rules, principal)


def complex_subject(**members: Any) -> dict[str, Any]:
    """Return a complex subject."""
    return {"format": "complex", **members}


def example_of(name: str) -> dict[str, Any]:
    """Return a valid identifier of a format with texts as members."""
    return {"format": name, **{member: f"the {member}" for member in FORMATS[name]}}


class TestIdentifiers:
    """RFC 9493."""

    @pytest.mark.parametrize("name", FORMATS)
    def test_each_format_has_exactly_its_members(self, name: str) -> None:
        """One that is missing, empty, of another kind, or not defined makes it invalid."""
        valid = example_of(name)
        assert read_identifiers(valid) == (Identifier(name, tuple(f"the {member}" for member in FORMATS[name])),)
        member = FORMATS[name][0]
        too_long = "x" * (MAX_CLAIM_STRING_BYTES + 1)
        wrong: list[dict[str, Any]] = [{**valid, member: value} for value in ("", 7, None, ["a"], too_long)]
        wrong += [{"format": name}, {**valid, "extra": "x"}]
        for identifier in wrong:
            with pytest.raises(SignalError, match="invalid_request"):
                read_identifiers(identifier)

    @pytest.mark.parametrize(
        "value", [None, "alice", [], {}, {"format": 7}, {"format": ""}, {"email": "a@b.example"}], ids=str
    )
    def test_what_is_no_identifier_is_refused(self, value: Any) -> None:
        """An object with a format, at least."""
        with pytest.raises(SignalError, match="invalid_request"):
            read_identifiers(value)

    def test_a_format_that_we_do_not_know_names_nobody(self) -> None:
        """There is a registry of formats; a new one is no error."""
        assert read_identifiers({"format": "badge", "number": 7}) == (Identifier("badge"),)

    def test_aliases_are_one_level_deep(self) -> None:
        """Each is an identifier; a list in a list, an empty one and a long one are refused."""
        aliases = {"format": "aliases", "identifiers": [ALICE, EMAIL]}
        assert [each.format for each in read_identifiers(aliases)] == ["iss_sub", "email"]
        for others in ([], [aliases], [ALICE, {"format": "complex"}], ALICE, [ALICE] * (MAX_EVENT_SUBJECTS + 1)):
            with pytest.raises(SignalError, match="invalid_request"):
                read_identifiers({"format": "aliases", "identifiers": others})

    @pytest.mark.parametrize("addresses", [[], "10.0.0.1", [7], [""], None], ids=str)
    def test_addresses_are_a_list_of_texts(self, addresses: Any) -> None:
        """They name nobody for us, yet they are valid or not."""
        assert read_identifiers({"format": "ip-addresses", "ip-addresses": ["10.0.0.1"]}) == (
            Identifier("ip-addresses"),
        )
        with pytest.raises(SignalError, match="invalid_request"):
            read_identifiers({"format": "ip-addresses", "ip-addresses": addresses})


class TestSimpleSubjects:
    """One identifier."""

    @pytest.mark.parametrize(
        ("subject", "mark"),
        [
            (ALICE, ALICE_MARK),
            ({"format": "jwt_id", "iss": ISSUER, "jti": "t-1"}, Mark(Form.TOKEN, ISSUER, "t-1")),
            (
                {"format": "uri", "uri": "spiffe://prod.example/ns/a/sa/b"},
                Mark(Form.SUBJECT, "spiffe://prod.example", "spiffe://prod.example/ns/a/sa/b"),
            ),
        ],
        ids=str,
    )
    def test_what_names_a_caller(self, subject: dict[str, Any], mark: Mark) -> None:
        """A subject of an issuer, a token, a workload."""
        assert read(subject) == Subject(targets=(Target(mark),))
        assert read(subject).text == mark.name.of

    @pytest.mark.parametrize(
        ("principal", "form"),
        [("device", Form.DEVICE), ("session", Form.SESSION), ("tenant", Form.TENANT), ("application", Form.CLIENT)],
    )
    def test_the_event_says_what_a_simple_subject_is(self, principal: str, form: Form) -> None:
        """In an event about devices `iss_sub` is a device."""
        assert read(ALICE, principal=principal).targets == (Target(Mark(form, ISSUER, "alice")),)
        assert read(SESSION, principal=principal).targets == (Target(Mark(form, ISSUER, "s-1")),)

    @pytest.mark.parametrize("name", ["account", "did", "email", "opaque", "phone_number", "uri"])
    def test_other_names_of_users_count_where_the_settings_say_so(self, name: str) -> None:
        """Otherwise nobody is named, and that is said."""
        subject = example_of(name)
        value = f"the {FORMATS[name][0]}"
        assert read(subject).targets == ()
        assert name in read(subject).problem
        mapped = stream_rules(sub_formats=frozenset({name}))
        assert read(subject, mapped).targets == (Target(Mark(Form.SUBJECT, ISSUER, value)),)

    def test_a_name_without_an_issuer_is_not_guessed(self) -> None:
        """With two issuers a bare value could be anybody's."""
        rules = stream_rules(issuers=(ISSUER, OTHER_ISSUER), sub_formats=frozenset({"email"}))
        assert read(EMAIL, rules).targets == ()
        assert read(SESSION, rules, "session").targets == ()

    @pytest.mark.parametrize("name", ["saml_assertion_id", "badge"])
    def test_what_callers_do_not_have_is_not_applicable(self, name: str) -> None:
        """Valid, and of no use here."""
        subject = example_of(name) if name in FORMATS else {"format": name}
        assert read(subject).problem == f"the subject cannot be compared with callers (user: {name})"

    def test_every_alias_is_a_target(self) -> None:
        """They name the same one; what one of them cannot say another may."""
        aliases = {"format": "aliases", "identifiers": [EMAIL, ALICE, {"format": "jwt_id", "iss": ISSUER, "jti": "t"}]}
        assert read(aliases).targets == (Target(ALICE_MARK), Target(Mark(Form.TOKEN, ISSUER, "t")))


class TestComplexSubjects:
    """Several members, all of which have to be met."""

    def test_the_most_specific_member_is_the_target(self) -> None:
        """Whatever the order in which they were written."""
        subject = complex_subject(
            tenant={"format": "opaque", "id": "acme"},
            user=ALICE,
            application={"format": "opaque", "id": "app"},
            device={"format": "opaque", "id": "d-1"},
            session=SESSION,
        )
        (target,) = read(subject).targets
        assert target.mark == Mark(Form.SESSION, ISSUER, "s-1")
        assert [mark.form for mark in target.also] == [Form.DEVICE, Form.SUBJECT, Form.CLIENT, Form.TENANT]
        assert read(dict(reversed(subject.items()))).targets == (target,)

    def test_a_tenant_alone_is_all_of_its_members(self) -> None:
        """Nothing else is named, so nothing else has to be met."""
        subject = complex_subject(tenant={"format": "iss_sub", "iss": ISSUER, "sub": "acme"})
        assert read(subject).targets == (Target(Mark(Form.TENANT, ISSUER, "acme")),)

    def test_names_are_those_of_the_users_issuer(self) -> None:
        """With several issuers the user says whose session it is; without a user nobody does."""
        user = {**ALICE, "iss": OTHER_ISSUER}
        (target,) = read(complex_subject(user=user, session=SESSION), TWO).targets
        assert target.mark == Mark(Form.SESSION, OTHER_ISSUER, "s-1")
        assert read(complex_subject(session=SESSION), TWO).targets == ()

    def test_a_member_that_we_have_no_use_for_is_passed_over(self) -> None:
        """Callers say nothing about it, so they meet it; one that names an individual is as sure as without."""
        subject = read(complex_subject(user=ALICE, org_unit={"format": "opaque", "id": "eu"}))
        assert subject == Subject(targets=(Target(ALICE_MARK),))
        of_many = read(complex_subject(tenant=SESSION, org_unit={"format": "opaque", "id": "eu"}))
        assert of_many.targets
        assert not of_many.whole

    def test_a_critical_member_that_we_cannot_use_ends_it(self) -> None:
        """One that we do not know, and one that we know in a form we cannot compare."""
        rules = stream_rules(critical=frozenset({"org_unit", "user", "session"}))
        assert read(complex_subject(user=ALICE, org_unit=SESSION), rules).critical == "org_unit"
        assert read(complex_subject(user=EMAIL, session=SESSION), rules).critical == "user"
        assert read(complex_subject(user=ALICE, session=SESSION), rules).critical == ""

    def test_one_user_is_never_a_whole_tenant(self) -> None:
        """A user whom we cannot compare, in a tenant that we can: nobody is hit instead of everybody."""
        subject = read(complex_subject(user=EMAIL, tenant={"format": "opaque", "id": "acme"}))
        assert subject.targets == ()
        assert subject.problem == "the subject cannot be compared with callers (user: email)"
        with_session = read(complex_subject(user=EMAIL, session=SESSION))
        assert with_session.targets == (Target(Mark(Form.SESSION, ISSUER, "s-1")),)

    def test_only_members_that_we_have_no_use_for_name_nobody(self) -> None:
        """Not everybody."""
        subject = read(complex_subject(org_unit={"format": "opaque", "id": "eu"}, group=EMAIL))
        assert subject.targets == ()
        assert "group: email" in subject.problem

    def test_aliases_inside_are_combined_up_to_a_bound(self) -> None:
        """Each way of naming each member; more than are kept are said to be too many, and none is left out."""
        four, five = (
            {"format": "aliases", "identifiers": [{"format": "opaque", "id": f"x{n}"} for n in range(many)]}
            for many in (4, 5)
        )
        assert len(set(read(complex_subject(device=four, session=four)).targets)) == MAX_EVENT_SUBJECTS
        too_many = read(complex_subject(device=four, session=five))
        assert (too_many.targets, too_many.problem) == ((), "the subject can be named in more than 16 ways")

    def test_names_of_theirs_are_written_down_only_when_they_are_harmless(self) -> None:
        """Neither a line break nor a long text gets into a log; nor does a long list."""
        subject = complex_subject(
            **{"x\ny": {"format": "b\x1b[2J"}, "y" * 40: {"format": "b"}, "group": {"format": "b"}}
        )
        assert read(subject).problem == (
            "the subject cannot be compared with callers (another: another, another: b, group: b)"
        )
        many = read(complex_subject(**{f"m{n}": {"format": "b"} for n in range(99)}))
        assert many.problem.endswith("m7: b)")

    @pytest.mark.parametrize(
        "members", [{}, {"user": "alice"}, {"user": {"format": "complex", "user": ALICE}}, {"user": {}}], ids=str
    )
    def test_malformed_ones_are_refused(self, members: dict[str, Any]) -> None:
        """Empty, of texts, one inside of another."""
        with pytest.raises(SignalError, match="invalid_request"):
            read(complex_subject(**members))
