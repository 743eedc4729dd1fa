"""Restrictions only ever narrow, in whatever order they are found and whatever they are about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from extauthz.clock import Instant
from extauthz.errors import Refusal
from extauthz.identity.restrictions import marks_of, require_unrestricted
from extauthz.ledger import Ledger
from extauthz.model.identity import ANONYMOUS, Identity, Kind, Principal
from extauthz.model.restriction import OPERATOR, Effect, Form, Mark, Restriction
from tests.simulators.tokens import ISSUER, NOW, MemoryKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.model.reason import Reason

NAMES = st.sampled_from(["", "a", "b"])
TIMES = st.one_of(st.none(), st.integers(-5, 5).map(lambda seconds: Instant(NOW + seconds)))
PARTIES = st.builds(
    Principal,
    issuer=st.sampled_from([ISSUER, "https://other.example"]),
    subject=st.sampled_from(["a", "b"]),
    kind=st.sampled_from([None, *Kind]),
    client=NAMES,
)
CALLERS = st.one_of(
    st.just(ANONYMOUS),
    st.builds(
        Identity,
        subject=PARTIES,
        actor=st.one_of(st.none(), PARTIES),
        tenant=NAMES,
        session=NAMES,
        token_id=NAMES,
        workload=NAMES,
        device=NAMES,
        auth_time=TIMES,
        issued_at=TIMES,
    ),
)
MARKS = st.builds(Mark, st.sampled_from(Form), st.sampled_from(["", ISSUER, "https://other.example"]), NAMES)
RESTRICTIONS = st.builds(
    Restriction,
    mark=MARKS,
    also=st.lists(MARKS, max_size=2).map(tuple),
    effect=st.sampled_from(Effect),
    source=st.just(OPERATOR),
    event_at=st.integers(-5, 5).map(lambda seconds: Instant(NOW + seconds)),
)


@dataclass(frozen=True)
class Given:
    """Restrictions in force; implements `ports.RestrictionSource`."""

    restrictions: Sequence[Restriction]

    def find_restrictions(self, marks: Sequence[Mark], at: Instant) -> tuple[Restriction, ...]:
        """Return those on any of `marks`."""
        del at
        return tuple(each for each in self.restrictions if each.mark in marks)

    def is_state_fresh(self, at: Instant) -> bool:
        """Return that it is."""
        del at
        return True

    def are_signals_fresh(self, issuer: str, at: Instant) -> bool:
        """Return that they are."""
        del issuer, at
        return True


def reason_of(identity: Identity, restrictions: Sequence[Restriction]) -> Reason | None:
    """Return why a caller is refused; None when it is not."""
    try:
        require_unrestricted(identity, NOW, restrictions=Given(restrictions), ledger=Ledger(MemoryKeys()))
    except Refusal as refusal:
        return refusal.reason
    return None


@given(CALLERS, st.lists(RESTRICTIONS, max_size=4), RESTRICTIONS)
def test_one_more_never_lets_anybody_through(
    caller: Identity, restrictions: list[Restriction], more: Restriction
) -> None:
    """And the order in which they are found does not matter."""
    before, after = reason_of(caller, restrictions), reason_of(caller, [*restrictions, more])
    assert before is None or after is not None
    assert reason_of(caller, [more, *reversed(restrictions)]) is after


@given(CALLERS, RESTRICTIONS, MARKS)
def test_naming_less_concerns_nobody_less(caller: Identity, restriction: Restriction, mark: Mark) -> None:
    """A quarantine with one more condition is met by no more callers."""
    narrow = replace(restriction, effect=Effect.QUARANTINED, also=(*restriction.also, mark))
    wide = replace(narrow, also=restriction.also)
    assert reason_of(caller, [narrow]) is None or reason_of(caller, [wide]) is not None


@given(CALLERS, st.sampled_from([Effect.QUARANTINED, Effect.DISABLED]))
def test_whoever_is_any_target_is_shut_out_by_it(caller: Identity, effect: Effect) -> None:
    """Each mark of a caller is enough, whatever its times say."""
    for mark in marks_of(caller):
        restriction = Restriction(mark=mark, effect=effect, source=OPERATOR, event_at=Instant(0))
        assert reason_of(caller, [restriction]) is not None


@given(CALLERS, RESTRICTIONS)
def test_whoever_is_no_target_is_left_alone(caller: Identity, restriction: Restriction) -> None:
    """The control: what is about others concerns nobody else."""
    assert restriction.mark in marks_of(caller) or reason_of(caller, [restriction]) is None
