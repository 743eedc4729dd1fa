"""The CEL environment: every fact a variable of its own with a type; a name that is not declared does not compile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cel_expr_python import cel

from extauthz.policy.names import FactType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.policy.names import Fact

_TYPES: Final[dict[FactType, cel.Type]] = {
    FactType.TEXT: cel.Type.STRING,
    FactType.NUMBER: cel.Type.INT,
    FactType.FLAG: cel.Type.BOOL,
    FactType.TEXTS: cel.Type.List(cel.Type.STRING),
}


def new_environment(facts: Mapping[str, Fact]) -> cel.Env:
    """Return an environment in which exactly `facts` are declared."""
    return cel.NewEnv(variables={name: _TYPES[fact.type] for name, fact in facts.items()})
