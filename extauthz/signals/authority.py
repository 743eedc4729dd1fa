"""What a stream may report about: its issuers, tenants and kinds of events. Beyond that its word changes nothing.

1. Kinds that the settings do not list take no effect.
2. Every part of a subject is named by an issuer that the stream may report about; otherwise one transmitter could end
   the sessions of another's users.
3. Where the settings name tenants, the event is about one of them. One that names no tenant of the target's own issuer
   is bound to these; one that names another is outside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from extauthz.errors import ExtAuthzError
from extauthz.model.restriction import Form, Mark
from extauthz.signals.subjects import Target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.signals.rules import StreamRules


class OutsideError(ExtAuthzError):
    """A stream reports what it has no authority for; the message says why."""


def bind_targets(kind: str, targets: tuple[Target, ...], rules: StreamRules) -> tuple[Target, ...]:
    """Return the targets, bound to what the stream may report about.

    Raises:
        OutsideError: it may not report this.
    """
    if kind not in rules.events:
        message = "this kind of event is not among the stream's `authority.events`"
        raise OutsideError(message)
    if any(mark.issuer not in rules.issuers for target in targets for mark in target.marks):
        message = "the subject's issuer is not among the stream's `authority.issuers`"
        raise OutsideError(message)
    return tuple(bound for target in targets for bound in _bind_to_tenants(target, rules))


def _bind_to_tenants(target: Target, rules: StreamRules) -> Iterator[Target]:
    named = [mark for mark in target.marks if mark.form is Form.TENANT]
    if rules.tenants and any(mark.value not in rules.tenants for mark in named):
        message = "the subject's tenant is not among the stream's `authority.tenants`"
        raise OutsideError(message)
    # The tenant of another issuer binds nobody: callers say nothing about it, and what is not said is met.
    if not rules.tenants or any(mark.issuer == target.mark.issuer for mark in named):
        yield target
        return
    for tenant in rules.tenants:
        yield Target(target.mark, (*target.also, Mark(Form.TENANT, target.mark.issuer, tenant)))
