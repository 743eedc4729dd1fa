"""What is probably not meant is warned about, and what is meant is not."""

from __future__ import annotations

import pytest

from tests.simulators.policies import compile_text

HEAD = """\
resources:
  - name: job
    action: run
    match: {host: h, path: "/jobs/{job}", methods: [POST]}
    attributes: {env: {from: query.env, one_of: [dev, prod]}, size: {from: query.size, type: int}}
  - {name: status, action: read, match: {host: h, path: /status, methods: [GET]}, credential: none}
"""
"""Two resources; the next line is line 7."""

PERMITS = """
permits:
  - {id: all-jobs, who: {roles: [x]}, may: job.run}
  - {id: all-status, who: anyone, may: status.read}
"""


def warnings_of(text: str) -> list[str]:
    """Return the warnings about a policy as `line message`."""
    return [f"{each.line} {each.message}" for each in compile_text(text).warnings]


def test_a_sound_policy_has_none() -> None:
    """The negative control of everything below."""
    assert warnings_of(HEAD + PERMITS) == []


@pytest.mark.parametrize(
    ("rule", "meant"),
    [
        ('when: \'resource.env == "prod" && request.method == "GET"\'', False),
        ('when: \'resource.env == "prod" && request.method == "POST"\'', True),
        ('when: \'resource.env != "dev" && resource.env != "prod"\'', False),
        ("when: 'resource.env != \"dev\" && resource.size > 3'", True),
        ("when: 'identity.human && identity.kind == \"ci\"'", False),
        ("when: 'identity.human || identity.kind == \"ci\"'", True),
        ("when: 'identity.kind == \"anonymous\"'", False),
        ("when: 'request.host == \"g\"'", False),
        ("when: 'resource.name == \"status\"'", False),
        ("when: {cel: 'resource.size > 3', involves: {kind: agent}}", True),
        ("when: {cel: 'request.method == \"GET\"', involves: {kind: agent}}", False),
    ],
)
@pytest.mark.parametrize("kind", ["guards", "forbids"])
def test_a_rule_that_never_applies(kind: str, rule: str, *, meant: bool) -> None:
    """Its condition contradicts closed values: nobody would miss it until it is needed."""
    extra = ", require: [{roles: [y]}]" if kind == "guards" else ""
    found = warnings_of(HEAD + f"{kind}: [{{id: r, on: job.run, {rule}{extra}}}]\n" + PERMITS)
    verb = "applies" if kind == "guards" else "fires"
    assert found == (
        [] if meant else [f"7 the rule never {verb}: its condition is false for every value that there can be"]
    )


def test_a_rule_that_applies_somewhere_is_meant() -> None:
    """One target is enough."""
    rule = "forbids: [{id: r, on: '*', when: 'resource.action == \"read\"', unless: [{roles: [y]}]}]"
    assert warnings_of(HEAD + rule + PERMITS) == []


def test_nobody_in_particular_involves_no_agent() -> None:
    """Where there is no credential, the kind of everybody is known."""
    rule = "forbids: [{id: r, on: status.read, when: {involves: {kind: agent}}}]"
    assert warnings_of(HEAD + rule + PERMITS) == [
        "7 the rule never fires: its condition is false for every value that there can be"
    ]
    assert warnings_of(HEAD + rule.replace("status.read", "'*'") + PERMITS) == []


def test_an_optional_value_may_be_missing() -> None:
    """A condition that reads it then fails, which denies: the forbid is not without effect. A default closes it."""
    forbid = 'forbids: [{id: r, on: job.run, when: \'resource.env == "dev" && resource.env == "prod"\'}]'
    optional = HEAD.replace("one_of: [dev, prod]", "one_of: [dev, prod], optional: true")
    default = HEAD.replace("one_of: [dev, prod]", "one_of: [dev, prod], default: dev")
    assert warnings_of(optional + forbid + PERMITS) == []
    assert len(warnings_of(default + forbid + PERMITS)) == 1


@pytest.mark.parametrize(
    ("permit", "meant"),
    [
        ("who: {kind: [anonymous]}, may: job.run", False),
        ("who: {kind: [anonymous]}, may: [job.run, status.read]", True),
        ("who: {kind: [ci]}, may: status.read", False),
        ("who: {roles: [x]}, may: status.read", False),
        ("who: {kind: [ci]}, may: job.run, require: [{identity: {kind: [user, agent]}}]", False),
        ("who: {kind: [ci]}, may: job.run, require: [{identity: {kind: [user], of: actor}}]", False),
        ("who: {kind: [ci]}, may: job.run, require: [{identity: {kind: [user], of: subject}}]", False),
        ("who: {kind: [ci]}, limit: actor, may: job.run, require: [{identity: {kind: [user], of: subject}}]", True),
        ("who: {kind: [ci]}, limit: actor, may: job.run, require: [{identity: {kind: [user], of: actor}}]", False),
        ("who: {kind: [ci]}, may: job.run, require: [{identity: {kind: [ci, user]}}]", True),
        ("who: {kind: [agent]}, may: job.run", False),
        ("who: {kind: [ci]}, may: job.run, when: identity.human", False),
        ("who: {kind: [user]}, may: job.run, when: identity.human", True),
        ("who: {kind: [ci]}, limit: actor, may: job.run, when: identity.human", True),
    ],
)
def test_a_permit_that_nobody_can_meet(permit: str, *, meant: bool) -> None:
    """By kinds: those of `who`, of its requirements and of guards that always apply, and the credential."""
    guard = "guards: [{id: g, on: job.run, require: [{identity: {kind: [ci, user]}}]}]\n"
    found = warnings_of(HEAD + guard + PERMITS + f"  - {{id: r, {permit}}}\n")
    assert [warning.split(" ", 1)[0] for warning in found] == ([] if meant else ["12"])


def test_a_rule_behind_an_unconditional_forbid_is_never_reached() -> None:
    """Unless it speaks of something else as well, or the forbid only observes."""
    forbid = "forbids: [{id: closed, on: job.run}]\n"
    assert warnings_of(HEAD + forbid + PERMITS) == [
        "10 the rule is never reached: `closed` forbids all that it speaks of"
    ]
    wider = PERMITS.replace("who: {roles: [x]}, may: job.run", "who: {kind: [anonymous, ci]}, may: '*'")
    assert warnings_of(HEAD + forbid + wider.replace("who: anyone", "who: {kind: [anonymous]}")) == []
    assert warnings_of(HEAD + forbid.replace("job.run}", "job.run, observe: true}") + PERMITS) == []
    assert warnings_of(HEAD + forbid.replace("job.run}", "job.run, unless: [{roles: [y]}]}") + PERMITS) == []


def test_a_permit_beside_one_for_everyone_is_never_needed() -> None:
    """As long as that asks nothing."""
    more = "  - {id: clerks, who: {roles: [y]}, may: job.run}\n"
    free = PERMITS.replace("who: {roles: [x]}", "who: anyone")
    assert warnings_of(HEAD + free + more) == ["11 the permit is never needed: `all-jobs` permits the same to everyone"]
    assert warnings_of(HEAD + PERMITS + more) == []


def test_a_resource_without_permit_is_always_refused() -> None:
    """A permit that only observes grants nothing."""
    lone = "  - {name: lone, action: read, match: {host: h, path: /lone, methods: [GET]}}\n"
    permit = "  - {id: r, who: anyone, may: lone.read, observe: true}\n"
    for text in (HEAD + lone + PERMITS, HEAD + lone + PERMITS + permit):
        assert warnings_of(text) == ["7 no permit speaks of this, so it is always refused"]


def resources(*matches: str) -> str:
    """Return resources by host, path and methods, and a permit for all."""
    lines = "".join(f"  - {{name: r{number}, action: a, match: {{{match}}}}}\n" for number, match in enumerate(matches))
    return f"permits: [{{id: p, who: {{roles: [x]}}, may: '*'}}]\nresources:\n{lines}"


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("/a/{x}/c", "/a/b/{y}", "/a/b/c"),
        ("/{x}/b", "/a/{y}", "/a/b"),
        ("/{x}/b/{z}", "/a/{y}/c", "/a/b/c"),
        ("/{x}/b/{z}", "/a/{y}/{z}", "/a/b/{…}"),
        ("/{x}/b/", "/a/{y}/", "/a/b/"),
    ],
)
def test_templates_that_cross(first: str, second: str, both: str) -> None:
    """Neither is more specific; the one that loses is named, until somebody declares the meeting itself."""
    matches = [f"host: h, path: '{path}', methods: [GET]" for path in (first, second)]
    (warning,) = warnings_of(resources(*matches))
    assert warning == f"3 `{both}` fits here and at p.yaml:4, which wins there"
    (warning,) = warnings_of(resources(*reversed(matches)))
    assert warning == f"4 `{both}` fits here and at p.yaml:3, which wins there"
    own = f"host: h, path: '{both.replace('…', 'z')}', methods: [GET]"
    assert warnings_of(resources(*matches, own)) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/a/{x}", "/a/b"),
        ("/a/{x}/c", "/a/b/d"),
        ("/a/{x}", "/a/b/{y}"),
        ("/a/{x}", "/b/{y}"),
        ("/{x}/a", "/b/"),
        ("/{x}/{y}/{z}", "/b/{y}/"),
    ],
)
def test_templates_that_do_not_cross(first: str, second: str) -> None:
    """One is more specific, or no path fits both."""
    assert warnings_of(resources(*(f"host: h, path: '{path}', methods: [GET]" for path in (first, second)))) == []


def test_other_methods_and_hosts_do_not_cross() -> None:
    """Nothing fits both."""
    for other in ("host: h, path: '/a/{y}', methods: [PUT]", "host: i, path: '/a/{y}', methods: [GET]"):
        assert warnings_of(resources("host: h, path: '/{x}/b', methods: [GET]", other)) == []


def test_a_path_whose_values_are_all_taken_is_never_meant() -> None:
    """Each by a literal path with the same methods."""
    text = resources(*(f"host: h, path: /env/{env}, methods: [GET]" for env in ("dev", "prod"))) + (
        "  - name: env\n    action: a\n    match: {host: h, path: '/env/{env}', methods: [GET]}\n"
        "    attributes: {env: {from: path.env, one_of: [dev, prod]}}\n"
    )
    assert warnings_of(text) == ["7 every value of `env` has a path of its own, so this is never meant"]
    assert warnings_of(text.replace("one_of: [dev, prod]", "one_of: [dev, prod, test]")) == []
    assert warnings_of(text.replace("'/env/{env}', methods: [GET]", "'/env/{env}', methods: [GET, PUT]")) == []


def test_a_body_that_one_looks_at_and_another_does_not() -> None:
    """On the same path, with a method that has one."""
    reader = (
        "  - name: order\n    action: a\n    match: {host: h, path: /o, methods: [POST]}\n"
        "    attributes: {kind: body.kind}\n"
    )
    for method, count in (("PUT", 1), ("PATCH", 1), ("GET", 0), ("DELETE", 0)):
        found = warnings_of(resources(f"host: h, path: /o, methods: [{method}]") + reader)
        assert found == ["3 p.yaml:4 is decided by the body on the same path, this is not"] * count
    assert warnings_of(resources("host: h, path: /other, methods: [PUT]") + reader) == []


def test_endless_warnings_are_cut() -> None:
    """They have one cause."""
    text = resources(*(f"host: h, path: /{number}, methods: [GET]" for number in range(120))).replace(
        "permits:", "permits: []\n#"
    )
    found = warnings_of(text)
    assert (len(found), found[-1]) == (101, "0 20 more warnings")


def test_a_condition_over_many_values_is_taken_to_hold() -> None:
    """Trying them all would take longer than the warning is worth."""
    values = ", ".join(f"v{number}" for number in range(40))
    head = HEAD.replace("[dev, prod]", f"[{values}]").replace(
        "size: {from: query.size, type: int}", f"two: {{from: query.two, one_of: [{values}]}}"
    )
    when = 'resource.env == "v1" && resource.env == "v2" && resource.two == "v1"'
    rule = f"guards: [{{id: g, on: job.run, when: '{when}', require: [{{roles: [y]}}]}}]"
    assert warnings_of(head + rule + PERMITS) == []


def test_a_flag_has_two_values() -> None:
    """Both are tried."""
    head = HEAD.replace("{from: query.size, type: int}", "{from: query.size, type: bool}")
    rule = "guards: [{id: g, on: job.run, when: 'resource.size && !resource.size', require: [{roles: [y]}]}]"
    assert len(warnings_of(head + rule + PERMITS)) == 1
