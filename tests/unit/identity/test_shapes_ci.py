"""Tokens of jobs of GitHub Actions and GitLab CI."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.model.identity import Kind
from extauthz.model.reason import Reason
from tests.simulators.shapes import (
    GITHUB,
    GITLAB,
    identify,
    refused,
)


def test_a_token_of_github_actions() -> None:
    """Known by numbers that never change; the run is the session, what it is about are groups."""
    identity = identify("github_actions")
    assert (identity.subject.issuer, identity.subject.kind) == (GITHUB, Kind.CI)
    assert identity.subject.subject == "repo:octo-org/octo-repo:environment:production"
    assert identity.workload == f"{GITHUB}|957014466|.github/workflows/release.yml"
    assert (identity.tenant, identity.environment, identity.session) == ("65", "production", "14144996512")
    assert identity.groups == {
        "repository:octo-org/octo-repo",
        "event_name:push",
        "ref:refs/heads/main",
        "ref_type:branch",
        "ref_protected:true",
        "job_workflow_ref:octo-org/shared/.github/workflows/deploy.yml@refs/tags/v1",
        "runner_environment:github-hosted",
        "repository_visibility:private",
    }
    assert (identity.client, identity.scopes, identity.subject.roles) == ("", frozenset(), frozenset())


def test_a_workflow_stays_the_same_through_runs_branches_and_renames() -> None:
    """Neither run, nor ref, nor the names of owner and repository are part of its key."""
    later = identify(
        "github_actions",
        run_id="1",
        jti="2",
        ref="refs/heads/other",
        repository="new-org/new-repo",
        workflow_ref="new-org/new-repo/.github/workflows/release.yml@refs/heads/other@{1}",
    )
    assert later.workload == identify("github_actions").workload
    assert identify("github_actions", repository_id="1").workload != later.workload
    other = identify("github_actions", workflow_ref="octo-org/octo-repo/.github/workflows/test.yml@refs/heads/main")
    assert other.workload != later.workload


@pytest.mark.parametrize(
    "sub",
    [
        "repo:octo-org/octo-repo:ref:refs/heads/main",
        "repo:octo-org/octo-repo:pull_request",
        "repo:octo-org@65/octo-repo@957014466:ref:refs/heads/main",
        "repo:octo-org@65/octo-repo@957014466:environment:Production%3AV1",
        "repository_owner_id:65:repository_visibility:private",
        "octo-org/octo-automation@refs/heads/main",
    ],
)
def test_both_forms_of_subject_and_an_organisations_own_are_accepted(sub: str) -> None:
    """The subject is what the issuer says; nothing is read out of it."""
    assert identify("github_actions", sub=sub).subject.subject == sub


@pytest.mark.parametrize("sub", ["repo:octo-org@65/octo-repo@1:ref:x", "repo:octo-org@1/octo-repo@957014466:ref:x"])
def test_a_subject_with_other_numbers_than_the_claims_is_refused(sub: str) -> None:
    """A rule on the subject and a rule on the number would see two repositories."""
    assert "`sub`" in refused("github_actions", sub=sub).detail


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        *((name, None) for name in ("repository_id", "repository_owner_id", "workflow_ref", "event_name", "run_id")),
        *(("repository_id", value) for value in (957014466, "octo", "", "-1", "1" * 21, "٣")),
        ("repository", None),
        ("workflow_ref", ".github/workflows/release.yml"),
        ("workflow_ref", "octo-org/octo-repo/.github/workflows/release.yml"),
        ("jti", None),
        ("iat", None),
        ("ref", ["refs/heads/main"]),
        ("environment", {}),
        ("environment", ""),
    ],
)
def test_github_claims_that_are_missing_or_mistyped_are_refused(claim: str, value: Any) -> None:
    """The refusal names the claim."""
    changes: dict[str, Any] = {claim: value}
    refusal = refused("github_actions", **changes)
    assert refusal.reason is Reason.CREDENTIALS_MALFORMED
    assert f"`{claim}`" in refusal.detail


def test_a_job_without_environment_has_none() -> None:
    """A guard that asks for one fails then."""
    assert identify("github_actions", environment=None, job_workflow_ref=None).environment == ""


def test_a_token_of_gitlab_ci() -> None:
    """Known by numbers; the job is the session."""
    identity = identify("gitlab_ci")
    assert (identity.subject.issuer, identity.subject.kind) == (GITLAB, Kind.CI)
    assert identity.workload == f"{GITLAB}|20|.gitlab-ci.yml"
    assert (identity.tenant, identity.environment, identity.session) == ("72", "production", "302")
    assert {"ref_path:refs/heads/main", "ref_protected:true", "pipeline_source:push"} <= identity.groups
    assert {"deployment_tier:production", "environment_protected:true", "ref:main"} <= identity.groups


def test_a_merge_request_from_a_fork_is_the_forks() -> None:
    """`project_id` is where the code comes from, `job_project_id` where it runs."""
    identity = identify("gitlab_ci", project_id="99", job_project_id="20")
    assert identity.workload == f"{GITLAB}|99|.gitlab-ci.yml"
    assert "job_project_id:20" in identity.groups


def test_a_pipeline_that_is_described_elsewhere_is_known_by_its_project() -> None:
    """The claim is absent or null then."""
    assert identify("gitlab_ci", ci_config_ref_uri=None).workload == f"{GITLAB}|20"


@pytest.mark.parametrize("sub", ["project_path:my-group/my-project", "project_path:g/p:environment_protected:true"])
def test_a_subject_of_the_projects_own_making_is_accepted(sub: str) -> None:
    """Projects choose its components."""
    assert identify("gitlab_ci", sub=sub).subject.subject == sub


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        *((name, None) for name in ("project_id", "namespace_id", "project_path", "job_id", "pipeline_source", "ref")),
        *(("ref_protected", value) for value in (None, True, "yes", ["true"])),
        ("project_id", 20),
        ("ci_config_ref_uri", "nonsense"),
        ("ci_config_ref_uri", 1),
        ("jti", None),
        ("deployment_tier", 1),
    ],
)
def test_gitlab_claims_that_are_missing_or_mistyped_are_refused(claim: str, value: Any) -> None:
    """The refusal names the claim."""
    changes: dict[str, Any] = {claim: value}
    assert f"`{claim}`" in refused("gitlab_ci", **changes).detail
