"""Teams write their own part of the policy, and cannot loosen anything that is not theirs."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from extauthz.errors import PolicyError
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.policy.homes import covers
from extauthz.policy.rules import Met
from tests.simulators.policies import make_facts, make_request

if TYPE_CHECKING:
    from extauthz.policy.ruleset import Ruleset

ROOT = """\
root: true
owner: platform
namespaces:
  billing: {hosts: [billing.example.com, "*.pay.example.com"], owner: team-billing}
  docs: {hosts: docs.example.com, owner: team-docs}
resources:
  - {name: status, action: read, match: {host: status.example.com, path: /, methods: [GET]}}
  - {name: extauthz, action: revoke, match: {host: admin.example.com, path: /revoke, methods: [POST]}}
guards:
  - {id: people-only, on: "*", require: [{identity: {kind: [user]}}]}
forbids:
  - {id: frozen, on: "*", when: request.host == "frozen"}
constants: {limit: 5}
"""
BILLING = """\
namespace: billing
resources:
  - {name: invoice, action: read, match: {host: billing.example.com, path: /invoices, methods: [GET]}}
permits:
  - {id: clerks-read, who: {roles: [clerk]}, may: "*"}
"""
DOCS = """\
namespace: docs
owner: team-docs
resources:
  - {name: page, action: read, match: {host: docs.example.com, path: /, methods: [GET]}}
permits:
  - {id: clerks-read, who: anyone, may: page.read}
"""


def compile_all(**changed: str) -> Ruleset:
    """Return the ruleset of root and teams, some of them changed."""
    files = {"root": ROOT, "billing": BILLING, "docs": DOCS} | changed
    return compile_policy({f"{name}.yaml": dedent(text).encode() for name, text in files.items()}, PolicyContext())


def test_settings_can_only_enforce_namespaces_that_are_there() -> None:
    """A namespace whose name is misspelt would be enforced nowhere, so that policy is kept out."""
    files = {"root.yaml": ROOT.encode(), "billing.yaml": BILLING.encode()}
    ruleset = compile_policy(files, PolicyContext(enforced_namespaces=("billing", "docs")))
    assert ruleset.namespaces["billing"] == ("billing.example.com", "*.pay.example.com")
    with pytest.raises(PolicyError, match="enforce the namespace `biling`, which no root policy declares"):
        compile_policy(files, PolicyContext(enforced_namespaces=("biling",)))


def problems_of(**changed: str) -> list[str]:
    """Return the problems as `file:line message`."""
    with pytest.raises(PolicyError) as caught:
        compile_all(**changed)
    return [f"{problem.file}:{problem.line} {problem.message}" for problem in caught.value.problems]


def test_rules_of_the_root_cover_everything() -> None:
    """Beside those of the team, whose ids get its name in front, so two teams can use the same."""
    ruleset = compile_all()
    invoice = ruleset.route(make_request("GET", "billing.example.com/invoices"))
    page = ruleset.route(make_request("GET", "docs.example.com/"))
    for route, team in ((invoice, "billing"), (page, "docs")):
        assert [rule.id for rule in route.rules.guards] == ["people-only"]
        assert [rule.id for rule in route.rules.forbids] == ["frozen"]
        assert [rule.id for rule in route.rules.permits] == [f"{team}/clerks-read"]


def test_a_star_of_a_team_means_its_own() -> None:
    """Its permit reaches neither the root's resources nor those of others."""
    for url in ("status.example.com/", "docs.example.com/"):
        permits = compile_all().route(make_request("GET", url)).rules.permits
        assert "billing/clerks-read" not in [permit.id for permit in permits]


TEAM = "namespace: billing\nresources:\n  - {name: NAME, action: a, match: {host: HOST, path: /x, methods: [GET]}}\n"
RULE = "permits:\n  - {id: x, who: anyone, may: TARGET}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            TEAM.replace("HOST", "status.example.com"),
            "t.yaml:3 `status.example.com` is not a host of the namespace `billing`",
        ),
        (TEAM.replace("HOST", "'*.example.com'"), "t.yaml:3 `*.example.com` is not a host of the namespace `billing`"),
        (TEAM.replace("HOST", "a.b.pay.example.com"), "t.yaml:3 `a.b.pay.example.com` is not a host of the namespace"),
        (TEAM.replace("HOST", "[billing.example.com, docs.example.com]"), "t.yaml:3 `docs.example.com` is not a host"),
        (TEAM.replace("NAME", "extauthz").replace("HOST", "billing.example.com"), "t.yaml:3 `extauthz` is the root's"),
        (TEAM.replace("NAME", "status").replace("HOST", "billing.example.com"), "is another namespace's at"),
        (TEAM.replace("NAME", "page").replace("HOST", "billing.example.com"), "is another namespace's at"),
        ("namespace: billing\n" + RULE.replace("TARGET", "extauthz.*"), "t.yaml:3 `extauthz` is the root's"),
        ("namespace: billing\n" + RULE.replace("TARGET", "extauthz.revoke"), "t.yaml:3 `extauthz` is the root's"),
        ("namespace: billing\n" + RULE.replace("TARGET", "status.*"), "t.yaml:3 `status` belongs to the root"),
        (
            "namespace: billing\n" + RULE.replace("TARGET", "[invoice.*, page.read]"),
            "t.yaml:3 `page` belongs to the namespace `docs`",
        ),
        (
            "namespace: billing\nguards:\n  - {id: people-only, on: '*', require: [{roles: a}], observe: true}\n",
            "t.yaml:3 the root policy has a rule `people-only` at root.yaml:10",
        ),
        (
            "namespace: billing\nforbids:\n  - {id: frozen, on: '*', observe: true}\n",
            "t.yaml:3 the root policy has a rule `frozen`",
        ),
        (
            "namespace: billing\nforbids:\n  - {id: extauthz.x, on: '*'}\n",
            "t.yaml:3 the rule id `extauthz.x` is reserved",
        ),
        (
            "namespace: billing\nforbids:\n  - {id: clerks-read, on: '*'}\n",
            "t.yaml:3 the rule id `clerks-read` is taken by billing.yaml:5",
        ),
        ("namespace: biling\n", "t.yaml:1 there is no namespace `biling`"),
        ("namespace: billing\nowner: team-docs\n", "t.yaml:2 the root says that `billing` is owned by `team-billing`"),
        ("namespace: billing\nnamespaces: {x: {hosts: x, owner: x}}\n", "t.yaml:2 only the root declares namespaces"),
        ("forbids:\n  - {id: f, on: status.read}\n", "t.yaml:1 the file belongs to no namespace"),
        ("root: true\n", "t.yaml:1 root.yaml is the root already"),
        ("namespace: billing\nconstants: {limit: 500}\n", "t.yaml:2 `limit` is declared at root.yaml:13"),
    ],
)
def test_what_a_team_cannot_say(text: str, problem: str) -> None:
    """All of it is an error when the policy is loaded."""
    assert any(problem in found for found in problems_of(t=text.replace("NAME", "mine"))), problems_of(t=text)


def test_a_team_is_heard_on_its_own_ground() -> None:
    """The negative control of the table above: the same sentences about what is its own are accepted."""
    own = TEAM.replace("NAME", "mine").replace("HOST", "[billing.example.com, eu.pay.example.com]")
    when = 'identity.session == "s" && 1 < constants.limit'
    rules = f"permits: [{{id: y, who: anyone, may: [mine.*, invoice.read], when: '{when}'}}]"
    assert compile_all(t=own + rules).counts.resources == 5


def test_a_rule_of_the_root_can_be_called_like_no_rule_of_a_team() -> None:
    """Also when the root spells the namespace out itself."""
    root = ROOT.replace("id: frozen", "id: billing/clerks-read")
    assert any("`billing/clerks-read` is taken" in problem for problem in problems_of(root=root))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "docs: {hosts: docs.example.com",
            "docs: {hosts: billing.example.com",
            "`billing.example.com` belongs to the namespace",
        ),
        ("docs: {hosts: docs.example.com", "docs: {hosts: eu.pay.example.com", "which has `*.pay.example.com`"),
        ("docs: {hosts: docs.example.com", 'docs: {hosts: "*.example.com"', "belongs to the namespace `billing`"),
        ("docs: {", "Docs: {", "`Docs` is not a namespace's name"),
        ("docs: {", "extauthz: {", "the namespace `extauthz` is reserved"),
        ("hosts: docs.example.com", "hosts: Docs.example.com", "`Docs.example.com` is not a host"),
        (", owner: team-docs", "", "`owner` is missing"),
        ("root: true", "root: false", "no root policy"),
        ("root: true\n", "", "no root policy"),
        ("root: true", "root: true\nnamespace: docs", "the root belongs to no namespace"),
        ("root: true", "rooot: true", "unknown key `rooot`"),
    ],
)
def test_a_wrong_root_is_a_problem(old: str, new: str, problem: str) -> None:
    """Every host has one team, and there is one root."""
    assert any(problem in found for found in problems_of(root=ROOT.replace(old, new)))


def test_without_namespaces_nothing_changes() -> None:
    """Files belong to nobody in particular; an owner can be named all the same."""
    plain = {
        "a.yaml": b"owner: us\nresources: [{name: a, action: a, match: {host: h, path: /, methods: [GET]}}]",
        "b.yaml": b"permits: [{id: p, who: anyone, may: '*'}]",
    }
    ruleset = compile_policy(plain, PolicyContext())
    assert [rule.id for rule in ruleset.route(make_request("GET", "h/")).rules.permits] == ["p"]


def test_budgets_of_two_teams_are_two() -> None:
    """Also when they are called alike, or one team could use up what another has."""
    budget = "require: [{budget: {name: day, at_most: 1, per: day}}]}\n"
    ruleset = compile_all(
        billing=BILLING.replace('"*"}\n', f'"*", {budget}'), docs=DOCS.replace("read}\n", f"read, {budget}")
    )
    keys = []
    for url in ("billing.example.com/invoices", "docs.example.com/"):
        ((required,),) = [permit.require for permit in ruleset.route(make_request("GET", url)).rules.permits]
        found = required.find(make_facts())
        assert isinstance(found, Met)
        keys += [spend.key for spend in found.spends]
    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("pattern", "host", "covered"),
    [
        ("a.b", "a.b", True),
        ("*.b", "a.b", True),
        ("*.b", "*.b", True),
        ("*.b", "b", False),
        ("*.b", "x.a.b", False),
        ("*.b", "*.a.b", False),
        ("a.b", "*.b", False),
        ("a.b", "a.b:8080", False),
    ],
)
def test_a_wildcard_covers_one_label(pattern: str, host: str, *, covered: bool) -> None:
    """As it does for requests."""
    assert covers(pattern, host) is covered


FOLDERS = ROOT.replace("owner: team-billing}", "owner: team-billing, folder: billing}").replace(
    "owner: team-docs}", "owner: team-docs, folder: ./teams/docs/}"
)


@pytest.mark.parametrize(
    ("billing", "docs", "wrong"),
    [
        ("p/billing/a.yaml", "p/teams/docs/deep/b.yaml", []),
        ("p/billing/a.yaml", "p/billing/b.yaml", ["p/billing/b.yaml:1"]),
        ("p/billing-too/a.yaml", "p/teams/docs/b.yaml", ["p/billing-too/a.yaml:1"]),
        ("p/billing/../a.yaml", "p/teams/docs/b.yaml", ["p/billing/../a.yaml:1"]),
        ("billing/a.yaml", "p/teams/docs/b.yaml", ["billing/a.yaml:1"]),
    ],
)
def test_where_the_root_names_a_folder_the_files_of_a_namespace_lie_in_it(
    billing: str, docs: str, wrong: list[str]
) -> None:
    """Who can write only to one team's folder cannot speak for another team."""
    files = {"p/root.yaml": FOLDERS.encode(), billing: BILLING.encode(), docs: DOCS.encode()}
    if not wrong:
        assert compile_policy(files, PolicyContext()).counts.permits == 2
        return
    with pytest.raises(PolicyError) as caught:
        compile_policy(files, PolicyContext())
    assert [f"{problem.file}:{problem.line}" for problem in caught.value.problems] == wrong
