"""Keys of kept decisions differ wherever policy, proxy or question do."""

from __future__ import annotations

from itertools import combinations

from extauthz.decision.keys import decision_key
from extauthz.ids import PolicyRevision
from extauthz.request.bounds import Proxy

NOW, NEXT = PolicyRevision("a" * 16), PolicyRevision("b" * 16)
EDGE = Proxy("edge")


def test_another_policy_proxy_or_question_is_another_key() -> None:
    """A proxy with other bounds is another one, also under the same name."""
    keys = [
        decision_key(NOW, EDGE, ("GET", "/a")),
        decision_key(NEXT, EDGE, ("GET", "/a")),
        decision_key(NOW, Proxy("other"), ("GET", "/a")),
        decision_key(NOW, Proxy("edge", hosts=("a.example",)), ("GET", "/a")),
        decision_key(NOW, Proxy("edge", tenants=frozenset({"acme"})), ("GET", "/a")),
        decision_key(NOW, Proxy("edge", shows_all_headers=True), ("GET", "/a")),
        decision_key(NOW, EDGE, ("GET", "/b")),
        decision_key(NOW, EDGE, ("GET/a",)),
        decision_key(NOW, EDGE, ()),
    ]
    assert all(one != other for one, other in combinations(keys, 2))
    assert len(set(keys)) == len(keys)


def test_equal_things_have_one_key() -> None:
    """Equal by content, not by being the same object."""
    one, other = (
        decision_key(
            PolicyRevision("".join("a" for _ in range(16))), Proxy("edge", hosts=(f"{part}.example",)), ("GET",)
        )
        for part in ("a", "".join("a"))
    )
    assert one == other
    assert hash(one) == hash(other)
