"""`tenant: resource.tenant`, or `tenant: [acme, globex]`: the caller's tenant is the resource's, or is listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from extauthz.model.reason import Reason
from extauthz.policy.names import FactType
from extauthz.policy.requirements.form import read_words
from extauthz.policy.rules import MET, Failed, Finding, Timeless, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written


@dataclass(frozen=True, slots=True)
class TenantEquals(Timeless):
    """The caller's tenant equals a fact. A caller without tenant equals nothing."""

    fact: str
    reads: frozenset[str]
    kind: str = "tenant"

    def find(self, facts: Facts) -> Finding:
        """Return whether the tenants are the same."""
        wanted = facts.variables.get(self.fact)
        if wanted is None:
            return Failed(f"{self.fact} is not known")
        tenant = facts.identity.tenant
        return MET if tenant and tenant == wanted else Unmet(Reason.TENANT_MISMATCH)


@dataclass(frozen=True, slots=True)
class TenantIn(Timeless):
    """The caller's tenant is listed. A caller without tenant is not."""

    tenants: frozenset[str]
    reads: frozenset[str] = frozenset({"identity.tenant"})
    kind: str = "tenant"

    def find(self, facts: Facts) -> Finding:
        """Return whether the tenant is listed."""
        tenant = facts.identity.tenant
        return MET if tenant and tenant in self.tenants else Unmet(Reason.TENANT_MISMATCH)


def compile_tenant(argument: Any, written: Written, surroundings: Surroundings) -> TenantEquals | TenantIn:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it is neither a fact nor a list of tenants.
    """
    if not isinstance(argument, str):
        return TenantIn(frozenset(read_words(argument, written)))
    fact = surroundings.facts.get(argument)
    if fact is None:
        advice = did_you_mean(argument, (name for name in surroundings.facts if name.startswith("resource.")))
        message = f"`{argument}` is not a fact of {surroundings.label}"
        written.refuse(message, f"{advice} (a fixed tenant is written as a list: `[{argument}]`)")
    if fact.type is not FactType.TEXT:
        written.refuse(f"`{argument}` is a {fact.type.value}", "name a text")
    if argument == "identity.tenant":
        written.refuse("the caller's tenant always equals itself", "name an attribute of the resource")
    return TenantEquals(argument, frozenset({argument, "identity.tenant"}))
