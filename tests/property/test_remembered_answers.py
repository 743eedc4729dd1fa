"""What answers are made of is remembered: an answer out of memory is the one that would be made without."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.ids import DecisionId, PolicyRevision, RuleId, new_decision_id
from extauthz.model.decision import Decision, Observed, Target
from extauthz.model.identity import Credential, Identity, Kind, Principal
from extauthz.model.reason import Reason
from extauthz.model.request import Headers, Request
from extauthz.model.verdict import Allow, BeginTask, Deny, ObtainScopes, SeekApproval, StepUp, UseMethod, WaitUntil
from extauthz.response import challenge, metadata, problem, to_envoy, upstream, wire
from tests.simulators.decisions import ALLOW, AT, IDENTITY, decision_of, denial, request_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMORIES: dict[str, Any] = {
    f"{module.__name__}.{name}": found
    for module in (challenge, metadata, problem, to_envoy, upstream, wire)
    for name, found in vars(module).items()
    if hasattr(found, "cache_info") and found.__module__ == module.__name__
}

# Few and short, so that equal texts stand in different places and some places are empty.
TEXT = st.sampled_from(["", "a", "b", "ab", "x" * 600, "é"])
NAMES = st.sampled_from(
    ["authorization", "cookie", "x-key", "x_key", "txn-token", "x-extauthz-tenant", "x_extauthz_a", "n" * 3000]
)
PRINCIPALS = st.builds(
    Principal, issuer=TEXT, subject=TEXT, kind=st.none() | st.sampled_from([Kind.CI, Kind.ANONYMOUS]), client=TEXT
)
REQUESTS = st.builds(
    Request,
    method=st.just("GET"),
    host=st.just("h"),
    path=st.just("/"),
    segments=st.just(("",)),
    query=st.lists(st.tuples(st.sampled_from(["access_token", "job_token"]), TEXT), max_size=2).map(tuple),
    headers=st.builds(
        Headers, st.dictionaries(NAMES, st.just(("v",)), max_size=4), exact=st.just(True), complete=st.booleans()
    ),
)
TARGETS = st.builds(
    Target,
    resource=TEXT,
    action=TEXT,
    realm=TEXT,
    forward=st.frozensets(NAMES, max_size=2),
    carrier=st.sampled_from(["authorization", "", "x-key"]),
    proof_algorithms=st.sampled_from([(), ("ES256",)]),
    metadata_url=TEXT,
    credential=st.sampled_from(["", *Credential]),
)
TOKENS = st.sampled_from([(), ("a",), ("a", "b")])
REMEDIES = st.one_of(
    st.builds(ObtainScopes, TOKENS),
    st.builds(UseMethod, TOKENS),
    st.builds(StepUp, TOKENS, st.sampled_from([None, 0, 1])),
    st.builds(WaitUntil, st.sampled_from([AT, AT + 9])),
    st.builds(SeekApproval, TEXT),
    st.just(BeginTask()),
)
DENIALS = st.builds(
    Deny,
    reason=st.sampled_from([reason for reason in Reason if reason is not Reason.ALLOWED]),
    detail=TEXT,
    remedies=st.lists(REMEDIES, max_size=2).map(tuple),
    rule=st.none() | TEXT.map(RuleId),
    schemes=st.sampled_from([(), ("bearer",), ("bearer", "dpop")]),
)
DECISIONS = st.builds(
    Decision,
    decision_id=st.sampled_from(["d-1", "d-22"]).map(DecisionId),
    at=st.just(AT),
    verdict=DENIALS | st.builds(Allow, rule=TEXT.map(RuleId)),
    policy=st.none() | TEXT.map(PolicyRevision),
    request=REQUESTS,
    target=TARGETS,
    identity=st.none()
    | st.builds(Identity, subject=PRINCIPALS, actor=st.none() | PRINCIPALS, tenant=TEXT, transaction=TEXT),
    next_nonce=st.sampled_from(["", "n"]),
    observed=st.none() | st.builds(Observed, st.none() | DENIALS),
)


@pytest.fixture(autouse=True, scope="module")
def _no_log() -> Iterator[None]:
    """Keep failures that are meant to happen out of the log."""
    with structlog.testing.capture_logs():
        yield


def forget() -> None:
    """Forget all that was remembered."""
    for memory in MEMORIES.values():
        memory.cache_clear()


def anew(decision: Decision) -> bytes:
    """Return the answer that is made when nothing is remembered."""
    forget()
    return to_envoy.to_envoy(decision)


@settings(max_examples=60, deadline=None)
@given(st.lists(DECISIONS, min_size=2, max_size=12))
def test_what_is_remembered_changes_no_answer(decisions: list[Decision]) -> None:
    """Of several decisions after one another, each has the answer that it has alone."""
    forget()
    after_one_another = [to_envoy.to_envoy(decision) for decision in decisions]
    assert after_one_another == [anew(decision) for decision in decisions]


def with_other_tenant(decision: Decision) -> Decision:
    """Return the same decision about a caller of another tenant."""
    return replace(decision, identity=replace(IDENTITY, tenant="other"))


CONFUSED: dict[str, tuple[Any, str, Decision, Decision]] = {
    "the caller in headers": (upstream, "_around_id", decision_of(ALLOW), with_other_tenant(decision_of(ALLOW))),
    "the caller in metadata": (metadata, "_about_group", decision_of(ALLOW), with_other_tenant(decision_of(ALLOW))),
    "the decision in metadata": (
        metadata,
        "_about_decision",
        decision_of(ALLOW),
        replace(decision_of(ALLOW), policy=PolicyRevision("other")),
    ),
    "names of headers": (
        upstream,
        "_unwanted_among",
        decision_of(ALLOW, request=request_with("accept")),
        decision_of(ALLOW, request=request_with("x.extauthz.subject")),
    ),
    "names that are removed unseen": (
        upstream,
        "_unseen",
        decision_of(ALLOW),
        decision_of(ALLOW, target=Target(resource="r", action="a", carrier="")),
    ),
    "names of ours that are removed unseen": (
        upstream,
        "_ours_unseen",
        replace(decision_of(ALLOW), observed=Observed()),
        replace(decision_of(ALLOW, identity=None), observed=Observed()),
    ),
    "a challenge": (
        challenge,
        "_challenge",
        decision_of(denial(Reason.TOKEN_EXPIRED)),
        decision_of(denial(Reason.TOKEN_EXPIRED), target=Target(resource="r", action="a", realm="other")),
    ),
    "how a denial begins": (
        to_envoy,
        "_opening",
        decision_of(denial(Reason.NO_PERMIT)),
        decision_of(denial(Reason.FORBIDDEN)),
    ),
}


@pytest.mark.parametrize("what", CONFUSED)
def test_a_memory_that_confuses_two_questions_is_noticed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: each memory matters, and the comparison above would see one that forgot what was asked."""
    module, name, first, second = CONFUSED[what]
    right = anew(second)
    remembered: list[Any] = []

    def confused(*asked: Any) -> Any:
        if not remembered:
            remembered.append(real.__wrapped__(*asked))
        return remembered[0]

    real: Any = MEMORIES[f"{module.__name__}.{name}"]
    monkeypatch.setattr(module, name, confused)
    to_envoy.to_envoy(first)
    assert to_envoy.to_envoy(second) != right


def kept() -> int:
    """Return how much is remembered."""
    return sum(memory.cache_info().currsize for memory in MEMORIES.values())


def long_names(number: int) -> Decision:
    """Return an allow for a request whose header names are too long to be remembered."""
    names = [f"x-{number}-{at}-{'n' * 100}" for at in range(20)]
    return decision_of(ALLOW, request=request_with(*names))


def long_tenant(number: int) -> Decision:
    """Return an allow for a caller about whom too much is known to be remembered."""
    return decision_of(ALLOW, identity=replace(IDENTITY, tenant=f"{number:03d}{'t' * 600}"))


def other_subject(number: int) -> Decision:
    """Return an allow for a caller of another name."""
    return decision_of(ALLOW, identity=replace(IDENTITY, subject=replace(IDENTITY.subject, subject=f"user-{number}")))


@pytest.mark.parametrize("decision", [long_names, long_tenant, other_subject])
def test_what_clients_choose_is_not_kept(decision: Callable[[int], Decision]) -> None:
    """Nothing of a decision's id, of a subject, and of other texts only where they are short."""
    forget()
    to_envoy.to_envoy(decision(100))
    before = kept()
    for number in range(101, 131):
        to_envoy.to_envoy(replace(decision(number), decision_id=new_decision_id()))
    assert kept() <= before + 2  # another length of the id, in a header and in the metadata


def test_every_memory_is_bounded() -> None:
    """By a number."""
    assert len(MEMORIES) >= len(CONFUSED)
    assert all(memory.cache_info().maxsize for memory in MEMORIES.values())
