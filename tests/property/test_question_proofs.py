"""A question that carries a DPoP proof has no name, whatever else it consists of; without the proof it has one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from extauthz.request.question import read_question
from tests.simulators.envoy_messages import TYPICAL_HEADERS, check_request

PROOFS = st.sampled_from(["", "a", "a.b.c", "a.b.c,a.b.c"])
NAMES = st.sampled_from(["dpop", "DPoP", "DPOP"])
OTHERS = st.lists(st.sampled_from(sorted(TYPICAL_HEADERS)), unique=True)


@given(
    name=NAMES,
    proofs=st.lists(PROOFS, min_size=1, max_size=3),
    others=OTHERS,
    place=st.integers(0, 20),
    raw_headers=st.booleans(),
    read=st.sampled_from([frozenset[str](), frozenset({"dpop"})]),
)
def test_a_question_with_a_proof_has_no_name(
    name: str, proofs: list[str], others: list[str], place: int, read: frozenset[str], *, raw_headers: bool
) -> None:
    """In any spelling and place, once or several times, also where a policy reads the header as an attribute."""
    lines = [(other, TYPICAL_HEADERS[other]) for other in others]
    plain = check_request(path="/things/7", headers=lines, raw_headers=raw_headers)
    assert read_question(plain, read) is not None
    with_proofs = [*lines[:place], *((name, proof) for proof in proofs), *lines[place:]]
    assert read_question(check_request(path="/things/7", headers=with_proofs, raw_headers=raw_headers), read) is None
