"""What a rule can see at the resources that it speaks of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from extauthz.policy.cel.environment import new_environment
from extauthz.policy.names import Fact, FactType

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cel_expr_python import cel

    from extauthz.model.facts import AttributeValue
    from extauthz.policy.requirements.plugin import AddedKind
    from extauthz.policy.windows import Window


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The facts of one or several resources, and what the settings say beside them.

    Resources with the same facts share one object, so that a rule is compiled once for all of them.

    Attributes:
        label: a `resource.action` that has them, for messages.
        facts: every fact by flat name.
        acr: for each authentication context the others that also satisfy it.
        constants: values of the policy that conditions can name, by `constants.NAME`.
        windows: change windows by name.
        spends: whether uses can be counted here.
        plugins: kinds of requirements that plug-ins add; None when the settings, which name them, are not known.
        decision_points: names of others who can be asked; None when the settings, which name them, are not known.
        environment: declares `facts` to CEL.
    """

    label: str
    facts: Mapping[str, Fact]
    acr: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    constants: Mapping[str, AttributeValue] = field(default_factory=dict)
    windows: Mapping[str, Window] = field(default_factory=dict)
    spends: bool = True
    plugins: Mapping[str, AddedKind] | None = None
    decision_points: Collection[str] | None = None
    environment: cel.Env = field(init=False)

    def __post_init__(self) -> None:
        types = {bool: FactType.FLAG, int: FactType.NUMBER, str: FactType.TEXT}
        named = {name: Fact(types[type(value)]) for name, value in self.constants.items()}
        object.__setattr__(self, "environment", new_environment({**self.facts, **named}))
