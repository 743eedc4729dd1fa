"""Every setting that weakens the server, in one place: what `extauthz serve` prints loudly at start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extauthz.config.settings import Settings


def weakenings(settings: Settings) -> list[str]:
    """Return a sentence for each weakening setting that is on: its name, and what it gives away."""
    found = []
    if settings.mode == "observe":
        namespaces = [f"the namespace {name}" for name in settings.enforced_namespaces]
        enforced = ", ".join((*settings.enforced_hosts, *namespaces))
        found.append(
            "mode=observe: NOTHING IS REFUSED"
            + (f", except on {enforced}" if enforced else "")
            + "; whatever policy says, requests go through and are only recorded"
        )
    if settings.insecure.unauthenticated_proxies:
        found.append(
            "insecure.unauthenticated_proxies: whoever reaches a loopback or Unix listener may ask about any request"
        )
    if settings.insecure.plaintext_beyond_loopback:
        found.append(
            "insecure.plaintext_beyond_loopback: questions, credentials included, may cross the network in the clear"
        )
    if settings.records.overflow == "drop":
        found.append("records.overflow=drop: access may be granted without a record of it")
    found += [
        f"issuers[{issuer.issuer}].keys.insecure_http: whoever is on the path can forge this issuer's tokens"
        for issuer in settings.issuers
        if issuer.keys is not None and issuer.keys.insecure_http
    ]
    found += [
        f"issuers[{issuer.issuer}].introspection.insecure_http: whoever is on the path reads tokens and our secret"
        for issuer in settings.issuers
        if issuer.introspection is not None and issuer.introspection.insecure_http
    ]
    found += [
        f"issuers[{issuer.issuer}].accept_id_tokens: whoever gets an ID token for our audience may use it as a caller"
        for issuer in settings.issuers
        if issuer.accept_id_tokens
    ]
    for issuer in settings.issuers:
        lists = issuer.status_list
        if lists is not None and lists.insecure_http:
            found.append(
                f"issuers[{issuer.issuer}].status_list.insecure_http: whoever is on the path can hold lists back"
            )
        if lists is not None and lists.ignored:
            found.append(
                f"issuers[{issuer.issuer}].status_list.ignored: tokens that this issuer has revoked are accepted"
            )
    found += [
        f"signals.streams[{stream.name}].keys.insecure_http: whoever is on the path can forge this stream's events"
        for stream in settings.signals.streams
        if stream.keys.insecure_http
    ]
    found += [
        f"decision_points[{name}].insecure_http: whoever is on the path can allow what this decision point would refuse"
        for name, point in settings.decision_points.items()
        if point.insecure_http
    ]
    redis = settings.state.redis if settings.state is not None else None
    if redis is not None and redis.insecure_plaintext:
        found.append("state.redis.insecure_plaintext: whoever is on the path can hold changes back")
    return found


def cautions(settings: Settings) -> list[str]:
    """Return a sentence for each setting that is safe, yet is hardly what was meant."""
    found = []
    if not settings.proxies and not settings.insecure.unauthenticated_proxies:
        found.append(
            "no proxy is configured: every question is refused with `proxy_unauthenticated`; add one to `proxies`"
        )
    if settings.state is not None and settings.state.memory:
        found.append("the state is in memory: a restart forgets what was used up; set `state.path` in production")
    if not settings.issuers and not settings.profiles:  # A profile that accepts nobody is an error of its own.
        found.append("no issuer is configured: only resources with `credential: none` can be reached")
    refusing = [name for name, profile in settings.profiles.items() if profile.unknown_identities == "refuse"]
    if not settings.registry.paths and (refusing or settings.registry.unknown == "refuse"):
        found.append("unknown identities are refused and there is no registry: name its files under `registry.paths`")
    return found
