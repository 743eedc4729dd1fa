"""What a plug-in is made of: a kind of requirement from a distribution outside. Public and small; it changes slowly.

A distribution offers a kind under the entry-point group `extauthz.requirements`, by the name that policies write
(`acme.ticket-age`), and settings pin it (`plugins`). The entry point is an object with what `RequirementKind` says:

1. When a policy is loaded, `compile` gets what the policy gives the requirement, and returns a check, or refuses.
2. At each decision for which the rule applies, the check gets the facts that the kind reads, and answers.

A check is synchronous and a function of its arguments: it runs on the path of a request, in several threads at the
same time. One that waits for others (a database, a network) says so by `waits = True` on its kind: it then runs aside,
within the deadline of the decision, and what does not answer in time denies. Every other one looks only at what is in
memory. It never sees the request or the credential, only facts by name.
Whatever it raises, and anything that is not one of the three answers, denies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

GROUP: Final = "extauthz.requirements"
"""The entry-point group of kinds of requirements."""

FactValue = str | int | bool | tuple[str, ...]
"""The value of a fact, of the type that the policy language gives it."""


@dataclass(frozen=True, slots=True)
class Met:
    """The requirement holds.

    Attributes:
        until: seconds since the epoch; the first instant at which the answer may be another for the same facts. None
            when nobody can tell: then a decision that asked is never kept. `math.inf` when it never changes.
    """

    until: float | None = None


@dataclass(frozen=True, slots=True)
class Unmet:
    """The requirement does not hold.

    Attributes:
        detail: a sentence for the client that names the fix. It goes out; never put a secret or another caller's data
            into it. What cannot be printed is left out, and it is cut after 200 characters.
        until: as in `Met`.
    """

    detail: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """Whether it holds cannot be told; that denies.

    Attributes:
        inner: why, for the decision record only; bounded like a detail.
    """

    inner: str = ""


Finding = Met | Unmet | Failed
"""What a check answers."""

Check = Callable[[Mapping[str, FactValue], float], Finding]
"""Takes the facts that are known among those that the kind reads, and the instant of the decision in seconds since the
epoch. The mapping cannot be changed; a fact that is not known is not a member."""


class ArgumentError(Exception):
    """What the policy gives the requirement is not acceptable. Its text tells the policy's author what to write."""


class RequirementKind(Protocol):
    """A kind of requirement."""

    @property
    def reads(self) -> Collection[str]:
        """Return the names of the facts that its checks see: those of the policy language, such as `identity.kind`.

        An attribute is `resource.NAME`. A policy that uses the kind where a name does not exist is refused.
        """
        ...

    def compile(self, argument: Any) -> Check:
        """Return the check that a policy states.

        Args:
            argument: what stands behind the kind in the policy: text, number, flag, list or mapping, as in YAML.

        Raises:
            ArgumentError: it is not acceptable.
        """
        ...
