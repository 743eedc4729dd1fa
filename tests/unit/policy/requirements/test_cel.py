"""`cel`: a condition as a requirement."""

from __future__ import annotations

from extauthz.model.reason import Reason
from extauthz.policy.rules import MET, Failed, Unmet
from tests.simulators.policies import found, make_facts, refused, requirement


def test_true_is_met_and_false_is_not() -> None:
    """Without a remedy: nobody can say what would make it true."""
    assert found("cel", "resource.size < 10", make_facts(attributes={"size": 9})) is MET
    assert found("cel", "resource.size < 10", make_facts(attributes={"size": 10})) == Unmet(Reason.FORBIDDEN)
    assert requirement("cel", "resource.size < 10").reads == {"resource.size"}


def test_what_cannot_be_evaluated_fails() -> None:
    """A fact that is not known is neither."""
    assert found("cel", "resource.size < 10", make_facts()) == Failed("not known: resource.size")


def test_a_wrong_expression_is_refused_where_it_is_wrong() -> None:
    """The column is the file's, not the expression's; what is no text is no expression."""
    problem = refused("cel", "'resource.size < 10 && identity.kind == \"agnet\"'")
    assert (problem.line, problem.column, problem.fix) == (1, 46, "did you mean `agent`?")
    assert "condition is text" in refused("cel", "true").message
