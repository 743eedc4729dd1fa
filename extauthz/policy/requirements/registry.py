"""The closed table of requirement kinds. What is not here is found only when settings name it as a plug-in.

A plug-in's kind has a dot, and none of ours does, so a plug-in cannot take the place of what is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from extauthz.policy.requirements.approval import compile_approval
from extauthz.policy.requirements.binding import compile_binding
from extauthz.policy.requirements.budget import compile_budget
from extauthz.policy.requirements.cel import compile_cel
from extauthz.policy.requirements.change_window import compile_change_window
from extauthz.policy.requirements.details import compile_details
from extauthz.policy.requirements.environment import compile_environment
from extauthz.policy.requirements.external import compile_external
from extauthz.policy.requirements.familiar import compile_familiar
from extauthz.policy.requirements.identity import compile_identity
from extauthz.policy.requirements.mcp import compile_mcp
from extauthz.policy.requirements.network import compile_network
from extauthz.policy.requirements.plugin import compile_added
from extauthz.policy.requirements.posture import compile_posture
from extauthz.policy.requirements.rate import compile_rate
from extauthz.policy.requirements.revalidate import compile_revalidate
from extauthz.policy.requirements.risk import compile_risk
from extauthz.policy.requirements.roles import compile_roles
from extauthz.policy.requirements.scopes import compile_scopes
from extauthz.policy.requirements.session import compile_session
from extauthz.policy.requirements.step_up import compile_step_up
from extauthz.policy.requirements.task import compile_task
from extauthz.policy.requirements.tenant import compile_tenant
from extauthz.policy.requirements.ticket import compile_ticket
from extauthz.policy.requirements.workflow import compile_workflow
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.policy.document import Clause
    from extauthz.policy.rules import Requirement
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

Compile = Callable[[Any, "Written", "Surroundings"], "Requirement"]

REQUIREMENTS: Final[Mapping[str, Compile]] = {
    "scopes": compile_scopes,
    "roles": compile_roles,
    "identity": compile_identity,
    "authorization_details": compile_details,
    "tenant": compile_tenant,
    "step_up": compile_step_up,
    "binding": compile_binding,
    "revalidate": compile_revalidate,
    "change_window": compile_change_window,
    "network": compile_network,
    "environment": compile_environment,
    "approval": compile_approval,
    "ticket": compile_ticket,
    "posture": compile_posture,
    "task": compile_task,
    "session": compile_session,
    "risk": compile_risk,
    "familiar": compile_familiar,
    "workflow": compile_workflow,
    "rate": compile_rate,
    "budget": compile_budget,
    "mcp": compile_mcp,
    "external": compile_external,
    "cel": compile_cel,
}


def compile_requirement(clause: Clause, written: Written, surroundings: Surroundings) -> Requirement:
    """Return the requirement that `clause` states.

    Args:
        clause: kind and argument.
        written: where the argument stands.
        surroundings: the facts at the resources it is for.

    Raises:
        PolicyError: there is no such kind, or it does not accept the argument.
    """
    if "." in clause.kind:
        return compile_added(clause.kind, clause.argument, written, surroundings)
    compiler = REQUIREMENTS.get(clause.kind)
    if compiler is None:
        fix = did_you_mean(clause.kind, REQUIREMENTS)
        written.refuse(f"there is no requirement `{clause.kind}`", fix)
    return compiler(clause.argument, written, surroundings)
