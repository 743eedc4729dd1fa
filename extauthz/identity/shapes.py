"""The closed table of token shapes: what tokens of GitHub, GitLab, Kubernetes and OpenID providers look like.

Tokens of continuous integration are ID tokens that a job asks for with an audience of its choice, so the audience is
what makes one meant for us. What each shape asks for beyond RFC 7519:

- `oidc`: access tokens of providers that do not follow RFC 9068. `nonce`, `at_hash` or `c_hash` give an ID token away
  (OpenID Connect Core section 2 and 3.3.2.11): it was made for the client that shows it, and is refused unless the
  operator says otherwise. `events` gives away a security event or logout token (RFC 8417 section 2.2), which older
  providers type `JWT` as well. The client goes by one of four names.
- `github_actions`: the numbers of repository and owner never change and are never given to somebody else, their names
  are. `sub` may have the form with names, the form with numbers (`repo:OWNER@ID/REPO@ID:…`) or one of the
  organisation's own making; where it carries numbers, they must be those of the claims.
- `gitlab_ci`: the same with project and namespace. In a merge request from a fork, `project_id` is the fork's.
- `kubernetes`: projected service account tokens. `sub` must say the same as the object `kubernetes.io`. Pods come and
  go: a pod's uid is the session, its name is nobody.
- `spiffe`: see `jwt_svid.py`.

What a run is about (ref, event, workflow …) becomes groups such as `ref:refs/heads/main`: the name of the claim, a
colon, its value. The name is ours, so no value can pass for another claim.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from extauthz.errors import Refusal
from extauthz.identity.claims import refuse_claim, required_text, text_of
from extauthz.identity.jwt_svid import SPIFFE
from extauthz.identity.rules import RFC9068, Computed, FixedValue, FromClaim, IssuerRules, MappingRules, Shape
from extauthz.model.identity import Kind
from extauthz.model.reason import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

_JWT: Final = frozenset({"jwt", "application/jwt"})
_NUMBER: Final = re.compile(r"[0-9]{1,20}")

_ID_TOKEN_CLAIMS: Final = ("nonce", "at_hash", "c_hash")

_GITHUB_NUMBERS: Final = ("repository_id", "repository_owner_id")
_GITHUB_TEXTS: Final = ("repository", "run_id", "event_name")
_GITHUB_GROUPS: Final = (
    *("repository", "event_name", "ref", "ref_type", "ref_protected", "job_workflow_ref", "runner_environment"),
    "repository_visibility",
)
_GITHUB_WORKFLOW: Final = re.compile(r"[^/@]+/[^/@]+/(?P<path>[^@]+)@.+")
"""`OWNER/REPO/PATH@REF`."""
_GITHUB_NUMBERED_SUBJECT: Final = re.compile(r"repo:[^/@:]+@(?P<owner>[^/@:]+)/[^/@:]+@(?P<repository>[^/@:]+)(?::.*)?")

_GITLAB_NUMBERS: Final = ("project_id", "namespace_id")
_GITLAB_TEXTS: Final = ("project_path", "job_id", "pipeline_source", "ref")
_GITLAB_GROUPS: Final = (
    *("project_path", "pipeline_source", "ref", "ref_type", "ref_path", "ref_protected", "environment_protected"),
    *("deployment_tier", "runner_environment", "job_project_id"),
)
_GITLAB_CONFIGURATION: Final = re.compile(r".+?//(?P<path>[^@]++)@.+")
"""`HOST/PROJECT//PATH@REF`."""

_KUBERNETES_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


def _verify_oidc(claims: Mapping[str, Any], rules: IssuerRules) -> None:
    if "events" in claims:
        raise Refusal(Reason.TOKEN_TYPE_WRONG, "Send an access token; this tells about an event.")
    if not rules.accept_id_tokens and any(name in claims for name in _ID_TOKEN_CLAIMS):
        raise Refusal(Reason.TOKEN_TYPE_WRONG, "Send an access token; ID tokens are for the client that got them.")


def _verify_github(claims: Mapping[str, Any], rules: IssuerRules) -> None:
    del rules
    repository, owner = (_number(claims, name) for name in _GITHUB_NUMBERS)
    for name in _GITHUB_TEXTS:
        required_text(claims, name)
    _workflow_path(claims)
    numbered = _GITHUB_NUMBERED_SUBJECT.fullmatch(required_text(claims, "sub"))
    if numbered is not None and (numbered["owner"], numbered["repository"]) != (owner, repository):
        refuse_claim("sub", "about the repository that `repository_id` and `repository_owner_id` name")


def _workflow_path(claims: Mapping[str, Any]) -> str:
    """Return where the workflow that was started stands in its repository; a reusable one that it calls is another."""
    match = _GITHUB_WORKFLOW.fullmatch(required_text(claims, "workflow_ref"))
    if match is None:
        refuse_claim("workflow_ref", "of the form OWNER/REPOSITORY/PATH@REF")
    return match["path"]


def _github_workload(claims: Mapping[str, Any]) -> str:
    return f"{_number(claims, 'repository_id')}|{_workflow_path(claims)}"


def _verify_gitlab(claims: Mapping[str, Any], rules: IssuerRules) -> None:
    del rules
    for name in _GITLAB_NUMBERS:
        _number(claims, name)
    for name in _GITLAB_TEXTS:
        required_text(claims, name)
    if required_text(claims, "ref_protected") not in {"true", "false"}:
        refuse_claim("ref_protected", "`true` or `false`, as text")


def _gitlab_workload(claims: Mapping[str, Any]) -> str:
    """Return the project and, where it stands in this GitLab, the file that describes its pipeline."""
    project = _number(claims, "project_id")
    if claims.get("ci_config_ref_uri") is None:
        return project
    match = _GITLAB_CONFIGURATION.fullmatch(required_text(claims, "ci_config_ref_uri"))
    if match is None:
        refuse_claim("ci_config_ref_uri", "of the form HOST/PROJECT//PATH@REF")
    return f"{project}|{match['path']}"


def _verify_kubernetes(claims: Mapping[str, Any], rules: IssuerRules) -> None:
    del rules
    namespace, account = _service_account(claims)
    if required_text(claims, "sub") != f"system:serviceaccount:{namespace}:{account}":
        refuse_claim("sub", "the service account that `kubernetes.io` names")
    _pod_uid(claims)


def _service_account(claims: Mapping[str, Any]) -> tuple[str, str]:
    about = _member(claims, "kubernetes.io")
    account = _member(about, "serviceaccount")
    required_text(account, "uid")
    names = required_text(about, "namespace"), required_text(account, "name")
    if any(_KUBERNETES_NAME.fullmatch(name) is None for name in names):
        refuse_claim("kubernetes.io", "about a namespace and a service account with names of Kubernetes")
    return names


def _pod_uid(claims: Mapping[str, Any]) -> str:
    """Return the uid of the pod that the token ends with; empty for a token that is bound to none."""
    about = _member(claims, "kubernetes.io")
    return required_text(_member(about, "pod"), "uid") if "pod" in about else ""


def _kubernetes_workload(claims: Mapping[str, Any]) -> str:
    return "/".join(_service_account(claims))


def _kubernetes_groups(claims: Mapping[str, Any]) -> list[str]:
    """Return the group that Kubernetes itself puts a service account of this namespace into."""
    return [f"system:serviceaccounts:{_service_account(claims)[0]}"]


def _member(claims: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = claims.get(name)
    if not isinstance(value, dict):
        refuse_claim(name, "an object")
    return value


def _number(claims: Mapping[str, Any], name: str) -> str:
    """Return an id that is a number; these issuers write them as text."""
    value = required_text(claims, name)
    if _NUMBER.fullmatch(value) is None:
        refuse_claim(name, "a number as text")
    return value


def _groups(names: tuple[str, ...]) -> Computed:
    """Return groups `NAME:VALUE` for the claims that are there; an empty one is not."""

    def find(claims: Mapping[str, Any]) -> list[str]:
        known = ((name, claims.get(name)) for name in names)
        return [f"{name}:{text_of(value, name)}" for name, value in known if value is not None and value != ""]

    return Computed("map.groups", find)


_EMPTY: Final = FixedValue("")

OIDC: Final = Shape(
    name="oidc",
    types=frozenset({*_JWT, *RFC9068.types}),
    untyped=True,
    clients=("azp", "client_id", "cid", "appid"),
    client_required=False,
    token_id_required=False,
    scopes=("scope", "scp"),
    verify=_verify_oidc,
)

GITHUB_ACTIONS: Final = Shape(
    name="github_actions",
    types=_JWT,
    clients=(),
    client_required=False,
    scopes=(),
    verify=_verify_github,
    mapping=MappingRules(
        kind=FixedValue(Kind.CI),
        tenant=FromClaim("repository_owner_id"),
        roles=_EMPTY,
        groups=_groups(_GITHUB_GROUPS),
        session=FromClaim("run_id"),
        workload=Computed("map.workload", _github_workload),
        environment=FromClaim("environment"),
    ),
)

GITLAB_CI: Final = Shape(
    name="gitlab_ci",
    types=_JWT,
    clients=(),
    client_required=False,
    scopes=(),
    verify=_verify_gitlab,
    mapping=MappingRules(
        kind=FixedValue(Kind.CI),
        tenant=FromClaim("namespace_id"),
        roles=_EMPTY,
        groups=_groups(_GITLAB_GROUPS),
        session=FromClaim("job_id"),
        workload=Computed("map.workload", _gitlab_workload),
        environment=FromClaim("environment"),
    ),
)

KUBERNETES: Final = Shape(
    name="kubernetes",
    types=_JWT,
    untyped=True,
    clients=(),
    client_required=False,
    token_id_required=False,
    scopes=(),
    verify=_verify_kubernetes,
    mapping=MappingRules(
        kind=FixedValue(Kind.WORKLOAD),
        tenant=_EMPTY,
        roles=_EMPTY,
        groups=Computed("map.groups", _kubernetes_groups),
        session=Computed("map.session", _pod_uid),
        workload=Computed("map.workload", _kubernetes_workload),
    ),
)

SHAPES: Final[Mapping[str, Shape]] = {
    shape.name: shape for shape in (RFC9068, OIDC, GITHUB_ACTIONS, GITLAB_CI, KUBERNETES, SPIFFE)
}
"""Every shape there is, by its name in the settings."""
