"""The closed vocabulary of facts: flat, typed names that conditions, scope templates and tenant rules may read.

A fact that is not known at run time is absent: reading it fails, it is never empty text. A typo fails at load.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from extauthz.ids import RuleId
from extauthz.model.identity import Binding, Credential, Kind
from extauthz.model.request import METHODS

if TYPE_CHECKING:
    from collections.abc import Mapping


class FactType(Enum):
    """The type of a fact."""

    TEXT = "string"
    NUMBER = "int"
    FLAG = "bool"
    TEXTS = "list(string)"


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact by name.

    Attributes:
        type: its type.
        vocabulary: the only values it, or an element of it, can have; empty when open.
        visible: whether it is said openly in the address of a request or by the operator, so that no value is a secret.
    """

    type: FactType
    vocabulary: tuple[str, ...] = ()
    visible: bool = False

    @property
    def keepable(self) -> bool:
        """Return whether its values may stay in memory for longer than a decision.

        Not what comes from a body, a query, a header or a credential, since it may be a secret, unless it is one of the
        words of a closed vocabulary, or yes or no.
        """
        return self.visible or bool(self.vocabulary) or self.type is FactType.FLAG


_KINDS: Final = tuple(kind.value for kind in Kind)
_TEXT: Final = Fact(FactType.TEXT)
_TEXTS: Final = Fact(FactType.TEXTS)

FACTS: Final[Mapping[str, Fact]] = {
    "identity.kind": Fact(FactType.TEXT, _KINDS),
    "identity.subject": _TEXT,
    "identity.issuer": _TEXT,
    "identity.client": _TEXT,
    "identity.tenant": _TEXT,
    "identity.session": _TEXT,
    "identity.acr": _TEXT,
    "identity.workload": _TEXT,
    "identity.profile": _TEXT,
    "identity.environment": _TEXT,
    "identity.credential": Fact(FactType.TEXT, tuple(each.value for each in Credential)),
    "identity.binding": Fact(FactType.TEXT, tuple(each.value for each in Binding)),
    "identity.owner": _TEXT,
    "identity.purpose": _TEXT,
    "identity.peer_group": _TEXT,
    "identity.scopes": _TEXTS,
    "identity.roles": _TEXTS,
    "identity.groups": _TEXTS,
    "identity.amr": _TEXTS,
    "identity.human": Fact(FactType.FLAG),
    "identity.registered": Fact(FactType.FLAG),
    "identity.delegated": Fact(FactType.FLAG),
    "delegation.depth": Fact(FactType.NUMBER, visible=True),
    "transaction.id": _TEXT,
    "transaction.scopes": _TEXTS,
    "transaction.workloads": _TEXTS,
    "actor.subject": _TEXT,
    "actor.kind": Fact(FactType.TEXT, _KINDS),
    "actor.issuer": _TEXT,
    "actor.client": _TEXT,
    "involved.kinds": Fact(FactType.TEXTS, _KINDS),
    "request.method": Fact(FactType.TEXT, METHODS),
    "request.host": Fact(FactType.TEXT, visible=True),
    "request.path": Fact(FactType.TEXT, visible=True),
    "source.address": _TEXT,
    "source.principal": _TEXT,
    "source.sni": _TEXT,
    "resource.name": _TEXT,
    "resource.action": _TEXT,
}
"""The facts that every resource has; its attributes come on top as `resource.NAME`. `involved.kinds` names the kinds of
subject, actor and chain; it is absent when the kind of one of them is not known, so a forbid that reads it denies.
`delegation.depth` counts the actors, 0 when nobody acts for the subject. A transaction is context and proves nobody."""

RESERVED_ATTRIBUTES: Final = frozenset({"name", "action"})
"""Names that a resource's attributes cannot have."""

RESERVED_WORDS: Final = frozenset(
    {
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop"),
        *("namespace", "null", "package", "return", "true", "var", "void", "while"),
    }
)
"""Words that CEL keeps for itself (CEL language definition, "Reserved")."""

OWN_NAME: Final = "extauthz"
"""The resource under which our own administration is decided; no namespace and no team's rule can have it."""

RESERVED_RULE_PREFIX: Final = f"{OWN_NAME}."
"""What rule ids in files cannot begin with: our own rules do."""

PREFLIGHT_RULE: Final = RuleId("preflight")
"""The rule that answers declared CORS preflights; no rule in a file can have its id."""
