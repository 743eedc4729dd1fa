"""Files become a ruleset or a list of problems; never something in between."""

from __future__ import annotations

import pytest

from extauthz.errors import PolicyError
from extauthz.policy.compile import PolicyContext, ProfileFace, compile_policy, revision_of
from extauthz.policy.rules import Who
from tests.simulators.policies import RESOURCE, compile_text, make_request, only_problem, problems_in

GET_ORDER = make_request("GET", "api.example.com/orders/7")


def test_rules_reach_the_targets_that_they_name() -> None:
    """In file order, by kind, and no others."""
    ruleset = compile_text("""\
        resources:
          - {name: order, action: read, match: {host: h, path: /orders, methods: [GET]}}
          - {name: order, action: create, match: {host: h, path: /orders, methods: [POST]}}
          - {name: invoice, action: read, match: {host: h, path: /invoices, methods: [GET]}}
        guards:
          - {id: g1, on: order.create, require: [{roles: [clerk]}]}
          - {id: g2, on: "*", require: {roles: [staff]}}
        forbids:
          - {id: f1, on: [invoice.*, order.read], when: identity.human, unless: {roles: [boss]}, observe: true}
        permits:
          - {id: p1, who: {kind: [user], roles: clerk}, limit: actor, may: order.*, require: [{scopes: [orders]}]}
          - {id: p2, who: anyone, may: invoice.read}
        """)
    rules = {
        f"{method} {path}": ruleset.route(make_request(method, f"h{path}")).rules
        for method, path in (("GET", "/orders"), ("POST", "/orders"), ("GET", "/invoices"))
    }
    assert [rule.id for rule in rules["POST /orders"].guards] == ["g1", "g2"]
    assert [rule.id for rule in rules["GET /orders"].guards] == ["g2"]
    assert [rule.id for rule in rules["GET /invoices"].forbids] == ["f1"]
    assert [rule.id for rule in rules["GET /invoices"].permits] == ["p2"]
    (permit,) = rules["GET /orders"].permits
    assert permit.who == Who(kinds=frozenset({"user"}), roles=frozenset({"clerk"}), actor_only=True)
    (forbid,) = rules["GET /orders"].forbids
    assert forbid.observe
    assert forbid.when is not None
    assert [requirement.kind for requirement in forbid.unless] == ["roles"]
    assert str(ruleset.counts) == "3 resources, 2 guards, 1 forbid, 2 permits"


def test_files_add_up_in_the_order_of_their_names() -> None:
    """Resources in one, rules in others."""
    rule = b"permits: [{id: %s, who: anyone, may: order.read}]"
    files = {"b": rule % b"second", "a": rule % b"first", "c": RESOURCE.encode()}
    rules = compile_policy(files, PolicyContext()).route(GET_ORDER).rules
    assert [permit.id for permit in rules.permits] == ["first", "second"]


def test_a_rule_is_compiled_once_for_targets_with_the_same_attributes() -> None:
    """So the memory and time of `*` do not grow with the resources."""
    paths = "".join(
        f"  - {{name: r{number}, action: read, match: {{host: h, path: /{number}, methods: [GET]}}}}\n"
        for number in range(5)
    )
    ruleset = compile_text(f"resources:\n{paths}guards: [{{id: g, on: '*', require: [{{roles: [a]}}]}}]\n")
    guards = {id(ruleset.route(make_request("GET", f"h/{number}")).rules.guards[0]) for number in range(5)}
    assert len(guards) == 1


def test_a_rule_sees_the_attributes_of_each_target() -> None:
    """One that reads an attribute which some target does not have is an error, not a rule that never holds there."""
    problem = only_problem(
        RESOURCE
        + """\
  - {name: cart, action: read, match: {host: h, path: /cart, methods: [GET]}}
guards: [{id: g, on: "*", when: 'resource.order == "7"', require: [{roles: [a]}]}]
"""
    )
    assert "`resource.order` is not an attribute of cart.read" in problem.message


def test_no_policy_is_allowed_and_warned_about() -> None:
    """It refuses everything, which is safe but hardly meant."""
    for files in ({}, {"empty.yaml": b""}):
        (warning,) = compile_policy(files, PolicyContext()).warnings
        assert "no resource" in warning.message
    assert compile_text(RESOURCE + "permits: [{id: p, who: {roles: r}, may: order.read}]").warnings == ()


def test_all_problems_are_listed_in_file_order() -> None:
    """Over files and kinds of problems; a damaged resource does not make its rules wrong."""
    files = {
        "b.yaml": b"guards: [{id: g g, on: order.read, require: [{roles: a}]}]",
        "a.yaml": b"""\
resources: [7, {name: order, action: read, mach: {}}]
permits: [{id: p, who: anyone, may: ordr.read}]
""",
        "c.yaml": b"a: [",
    }
    with pytest.raises(PolicyError) as caught:
        compile_policy(files, PolicyContext())
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        ("a.yaml", 1),
        ("a.yaml", 1),
        ("a.yaml", 1),
        ("a.yaml", 2),
        ("b.yaml", 1),
        ("c.yaml", 2),
    ]


@pytest.mark.parametrize(
    ("addition", "line", "message", "fix"),
    [
        ("permit: []", 6, "unknown key `permit`", "did you mean `permits`?"),
        ("permits: {}", 6, "`permits` must be a list", "write `- `"),
        ("permits: [{id: p, who: anyone, may: order.reed}]", 6, "`order.reed` is not declared", "`order.read`"),
        ("permits: [{id: p, who: {}, may: order.read}]", 6, "names nobody", "who: anyone"),
        ("permits: [{id: p, who: {kind: agnet}, may: '*'}]", 6, "no such kind", "`agent`"),
        ("permits: [{id: p, who: everyone, may: '*'}]", 6, "must be a mapping", ""),
        ("permits: [{id: p, who: {kind: []}, may: '*'}]", 6, "must not be empty", ""),
        ("permits: [{id: p, may: '*'}]", 6, "`who` is missing", "add it"),
        ("permits: [{id: extauthz.p, who: anyone, may: '*'}]", 6, "reserved", ""),
        ("permits: [{id: preflight, who: anyone, may: '*'}]", 6, "reserved", ""),
        ("permits: [{id: 'a b', who: anyone, may: '*'}]", 6, "not a rule id", ""),
        ("permits: [{id: 'a ', who: anyone, may: '*'}]", 6, "with a space", "remove"),
        ("permits: [{id: p, who: anyone, may: '*', observe: yes}]", 6, "true or false", ""),
        ("permits: [{id: p, who: anyone, may: '*', limit: subject}]", 6, "'actor'", ""),
        ("permits: [{id: p, who: anyone, may: '*', when: true}]", 6, "must be text", "quote it"),
        ("permits: [{id: p, who: anyone, may: '*', require: [{scoops: a}]}]", 6, "no requirement `scoops`", "`scopes`"),
        ("permits: [{id: p, who: anyone, may: '*', require: [{roles: a, cel: b}]}]", 6, "one key", ""),
        ("permits: [{id: p, who: anyone, may: '*', require: roles}]", 6, "are a list", ""),
        ("guards: [{id: g, on: '*', require: []}]", 6, "must not be empty", ""),
        ("guards: [{id: g, on: '*'}]", 6, "`require` is missing", ""),
        ("guards: [{id: g, on: [], require: [{roles: a}]}]", 6, "must not be empty", ""),
        (
            "guards: [{id: g, on: '*', when: 'identity.kin == \"ci\"', require: [{roles: a}]}]",
            6,
            "not a fact",
            "kind`?",
        ),
        ("forbids: [{id: f, on: '*', unless: [{tenant: resource.x}]}]", 6, "`resource.x` is not a fact", ""),
        ("forbids: [7]", 6, "must be a mapping", ""),
    ],
)
def test_a_wrong_rule_is_a_problem_with_a_fix(addition: str, line: int, message: str, fix: str) -> None:
    """Every slip that a rule can have is caught when the policy is loaded."""
    problem = only_problem(RESOURCE + addition)
    assert problem.line == line
    assert message in problem.message
    assert fix in problem.fix


def test_a_rule_id_is_taken_once() -> None:
    """Over all kinds of rules and all files."""
    files = {
        "a": RESOURCE.encode() + b"permits: [{id: x, who: anyone, may: order.read}]",
        "b": b"guards: [{id: x, on: order.read, require: [{roles: a}]}]",
    }
    with pytest.raises(PolicyError, match="`x` is taken by a:6"):
        compile_policy(files, PolicyContext())


def test_a_top_level_list_is_refused() -> None:
    """A file is a mapping of sections."""
    assert "is a mapping" in only_problem("[1]").message


def test_the_same_target_has_the_same_attributes_everywhere() -> None:
    """Otherwise a rule about it could not be checked."""
    text = RESOURCE + '  - {name: order, action: read, match: {host: h, path: "/o/{x}", methods: [GET]}}\n'
    problem = only_problem(text)
    assert (problem.line, "other attributes at p.yaml:2" in problem.message) == (6, True)
    compile_text(text.replace("[GET]}}", "[GET]}, attributes: {order: path.x}}"))


def test_two_resources_that_cannot_be_told_apart_are_refused() -> None:
    """The problem names both places."""
    problem = only_problem(
        RESOURCE
        + '  - {name: a, action: b, match: {host: api.example.com, path: "/orders/{id}", methods: [GET, PUT]}}\n'
    )
    assert problem.line == 6
    assert "p.yaml:2 declares the same host, path and method" in problem.message


def test_profiles_are_checked_when_they_are_known() -> None:
    """A misspelt or missing profile would otherwise fail every request."""
    context = PolicyContext(profiles={"partners": ProfileFace("https://api", "api")})
    assert "no verification profile `default`" in only_problem(RESOURCE, context).message
    text = RESOURCE.replace("action: read", "action: read\n    verify: PROFILE")
    assert only_problem(text.replace("PROFILE", "partner"), context).fix == "did you mean `partners`?"
    route = compile_text(text.replace("PROFILE", "partners"), context).route(GET_ORDER)
    assert (route.verify, route.target.audience, route.target.realm) == ("partners", "https://api", "api")
    assert compile_text(text.replace("PROFILE", "partner")).route(GET_ORDER).target.audience == ""
    rule = "guards: [{id: g, on: '*', when: 'identity.profile == \"prtners\"', require: [{roles: a}]}]"
    assert "`partners`" in only_problem(text.replace("PROFILE", "partners") + rule, context).fix


def test_names_of_resources_and_actions_are_a_closed_vocabulary() -> None:
    """Also in conditions."""
    rule = "guards: [{{id: g, on: '*', when: 'resource.{} == \"{}\"', require: [{{roles: a}}]}}]"
    assert compile_text(RESOURCE + rule.format("name", "order")).counts.guards == 1
    assert "`order`" in only_problem(RESOURCE + rule.format("name", "ordr")).fix
    assert "`read`" in only_problem(RESOURCE + rule.format("action", "reed")).fix


def test_the_revision_names_the_content() -> None:
    """Same names and bytes, same revision; bytes cannot move between name and content unnoticed."""
    assert revision_of({"a": b"b", "c": b"d"}) == revision_of({"c": b"d", "a": b"b"})
    revisions = {revision_of(files) for files in ({}, {"a": b"b"}, {"a": b"bb"}, {"ab": b"b"}, {"a": b"", "b": b""})}
    assert len(revisions) == 5
    assert compile_text(RESOURCE).revision == revision_of({"p.yaml": RESOURCE.encode()})
    assert len(compile_text(RESOURCE).revision) == 16


def test_problems_of_one_rule_are_reported_together() -> None:
    """Condition and requirements, each at its own place."""
    rule = """\
guards:
  - id: g
    on: order.read
    when: |
      identity.kin == "x" &&
        identity.tenat == "y"
    require:
      - roles: []
      - scopes: [a, "b c"]
"""
    found = [(problem.line, problem.column) for problem in problems_in(RESOURCE + rule)]
    assert found == [(10, 7), (11, 9), (13, 16), (14, 21)]
