"""What requirements have to have asked: looked up in what was answered, or asked for before the decision is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.model.enquiry import Answered, Enquiries, Enquiry
from extauthz.model.reason import Reason
from extauthz.model.verdict import Allow, Deny
from extauthz.ports import AnswerOf

if TYPE_CHECKING:
    from extauthz.clock import Instant
    from extauthz.ledger import Ledger
    from extauthz.model.verdict import Verdict
    from extauthz.policy.rules import RouteRules
    from extauthz.ports import AnswerSource, Evidence


def enquiries_of(source: AnswerSource, evidence: Evidence, ledger: Ledger, at: Instant) -> Enquiries:
    """Return the enquiries of one decision. Each answer's name is noted before it is looked up.

    Args:
        source: what was answered.
        evidence: what was fetched for this decision. What holds for the decision that asked only, is taken where it
            was asked for this one.
        ledger: takes the names.
        at: the instant of the decision.
    """

    def find(enquiry: Enquiry) -> Answered | None:
        ledger.note(enquiry.name)
        answered = source.find_answer(enquiry, at)
        if answered is None or (answered.until is None and AnswerOf(enquiry) not in evidence.outcomes):
            return None
        return answered

    return Enquiries(find)


def find_open(enquiries: Enquiries, verdict: Verdict, rules: RouteRules, evidence: Evidence) -> AnswerOf | None:
    """Return what has to be asked before `verdict` can count; None when nothing could change it, or all was asked.

    A forbid that fires needs nobody's word, and neither does an allow need that of another permit.
    """
    forbids = {forbid.id for forbid in rules.forbids}
    fired = isinstance(verdict, Deny) and verdict.reason is Reason.FORBIDDEN and verdict.rule in forbids
    for enquiry, spare in enquiries.open.items():
        need = AnswerOf(enquiry)
        if need not in evidence.outcomes and not fired and not (spare and isinstance(verdict, Allow)):
            return need
    return None
