"""Which targets a rule speaks of."""

from __future__ import annotations

from extauthz.policy.targets import TargetTable

TABLE = TargetTable(
    [(target, "") for target in (("order", "read"), ("order", "cancel"), ("invoice", "read"), ("order", "read"))]
)


def test_patterns_select_declared_targets() -> None:
    """One action, all actions of a resource, or everything, each target once."""
    assert TABLE.select("order.read") == (("order", "read"),)
    assert TABLE.select("order.*") == (("order", "read"), ("order", "cancel"))
    assert TABLE.select("*") == (("order", "read"), ("order", "cancel"), ("invoice", "read"))


def test_what_is_not_declared_selects_nothing() -> None:
    """Neither typos nor half patterns mean anything."""
    for pattern in ("order", "order.", ".read", "*.read", "order.reed", "ordr.*", ""):
        assert TABLE.select(pattern) == ()


def test_advice_names_the_nearest_target() -> None:
    """For a wrong action, a wrong resource, and what is no target at all."""
    assert TABLE.advice("order.reed") == "did you mean `order.read`?"
    assert TABLE.advice("invoce.read") == "did you mean `invoice.read`?"
    assert "resource.action" in TABLE.advice("zzz")
