"""The guided tour: what is asked, by whom, and what must come back. The table is the demo.

A stop that Envoy answers by itself under `envoy/hardened.yaml`, so that extauthz is not even asked, says so in
`hardened`; otherwise both configurations give the same answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from extauthz.demo.ask import Ask
from extauthz.demo.clients import PHISHING_RESISTANT
from extauthz.demo.tokens import Wish

USUAL: Final = Wish()
"""All scopes of the client, for the demo API, as people signed in this morning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Which token a stop sends. Equal recipes within one run are the same token, fetched once.

    Attributes:
        client: the demo client that asks for it.
        wish: what it asks for.
        edition: tells apart tokens that are otherwise alike.
        forged: signed by an impostor under the issuer's key name.
        stranger: signed by an impostor under a key name that the issuer never published.
    """

    client: str
    wish: Wish = USUAL
    edition: str = ""
    forged: bool = False
    stranger: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect:
    """What must come back.

    Attributes:
        status: HTTP status.
        reason: extauthz's code; empty for an allow, and where Envoy answers by itself.
        challenge: pieces that `WWW-Authenticate` must contain; empty means that there must be none.
        upstream: header lines by name that the upstream must have received, exactly; for a name with an empty tuple,
            none.
        by_envoy: the request must not even reach extauthz.
    """

    status: int
    reason: str = ""
    challenge: tuple[str, ...] = ()
    upstream: tuple[tuple[str, tuple[str, ...]], ...] = ()
    by_envoy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One row of the tour.

    Attributes:
        who: the caller, for people.
        what: what is asked, for people.
        ask: the request without its token.
        token: sent as `authorization: Bearer …`; None for none.
        second_token: a second `authorization` line.
        by_client: sent by `extauthz.client`, which starts with `token` and gets what refusals ask for.
        rotate: the issuer changes its keys before this stop.
        run: a command of `extauthz` that is run before this stop; empty for none.
        expect: with `envoy/minimal.yaml`.
        hardened: with `envoy/hardened.yaml`; None when that is the same.
    """

    who: str
    what: str
    ask: Ask
    token: Token | None = None
    second_token: Token | None = None
    by_client: bool = False
    rotate: bool = False
    run: str = ""
    expect: Expect
    hardened: Expect | None = None


REPORT: Final = Ask(path="/v1/reports/q3")
APPROVAL: Final = Ask(method="POST", path="/v1/payments/77/approval")
READER: Final = Token(client="reporting")
PIPELINE: Final = Token(client="pipeline", wish=Wish(scope="reports:read"))
RELEASE: Final = Token(client="pipeline", wish=Wish(scope="deploy:production"))

OK: Final = Expect(status=200)
REFUSED_BY_ENVOY: Final = Expect(status=400, by_envoy=True)


def deploy(body: str) -> Ask:
    """Return a deployment request with `body` as JSON text."""
    return Ask(
        method="POST",
        path="/v1/projects/web/deployments",
        headers=(("content-type", "application/json"),),
        body=body.encode(),
    )


def invalid_token(reason: str) -> Expect:
    """Return the expectation of a 401 for a bad token (RFC 6750 section 3.1)."""
    return Expect(status=401, reason=reason, challenge=('Bearer realm="api.example.com"', 'error="invalid_token"'))


TOUR: Final = (
    # --- credentials ---
    Stop(who="anybody", what="reads the public status page", ask=Ask(path="/v1/status"), expect=OK),
    Stop(
        who="anybody",
        what="reads a report, no credential",
        ask=REPORT,
        expect=Expect(status=401, reason="no_credentials", challenge=('Bearer realm="api.example.com"',)),
    ),
    Stop(who="reporting", what="reads a report", ask=REPORT, token=READER, expect=OK),
    Stop(
        who="reporting",
        what="… with a token that has expired",
        ask=REPORT,
        token=Token(client="reporting", wish=Wish(lifetime=-60)),
        expect=invalid_token("token_expired"),
    ),
    Stop(
        who="reporting",
        what="… with another audience's token",
        ask=REPORT,
        token=Token(client="reporting", wish=Wish(audience="https://other.example.com")),
        expect=invalid_token("audience_mismatch"),
    ),
    Stop(
        who="impostor",
        what="… with a forged signature",
        ask=REPORT,
        token=Token(client="reporting", forged=True),
        expect=invalid_token("signature_invalid"),
    ),
    Stop(
        who="reporting",
        what="… with two credentials at once",
        ask=REPORT,
        token=READER,
        second_token=PIPELINE,
        expect=Expect(status=400, reason="credentials_ambiguous", challenge=('error="invalid_request"',)),
    ),
    # --- how to become allowed ---
    Stop(
        who="pipeline",
        what="reads a report, lacks the scope",
        ask=REPORT,
        token=RELEASE,
        expect=Expect(
            status=403,
            reason="insufficient_scope",
            challenge=('error="insufficient_scope"', 'scope="reports:read"'),
        ),
    ),
    Stop(
        who="alice",
        what="approves a payment",
        ask=APPROVAL,
        token=Token(client="alice-laptop"),
        expect=Expect(
            status=401,
            reason="step_up_required",
            challenge=(
                'error="insufficient_user_authentication"',
                f'acr_values="{PHISHING_RESISTANT}"',
                "max_age=",
            ),
        ),
    ),
    Stop(
        who="alice",
        what="… after stepping up",
        ask=APPROVAL,
        token=Token(client="alice-laptop", wish=Wish(acr=PHISHING_RESISTANT)),
        expect=OK,
    ),
    Stop(
        who="alice's client",
        what="… which steps up by itself",
        ask=APPROVAL,
        token=Token(client="alice-laptop", wish=Wish(scope="payments:approve")),
        by_client=True,
        expect=OK,
    ),
    # --- tricks ---
    Stop(
        who="reporting",
        what="asks for a path not declared",
        ask=Ask(path="/v1/admin"),
        token=READER,
        expect=Expect(status=403, reason="no_resource"),
    ),
    Stop(
        who="reporting",
        what="deletes a report, not declared",
        ask=Ask(method="DELETE", path="/v1/reports/q3"),
        token=READER,
        expect=Expect(status=405, reason="method_not_allowed"),
    ),
    Stop(
        who="reporting",
        what="climbs out with encoded slashes",
        ask=Ask(path="/v1/reports/..%2f..%2fv1%2fadmin"),
        token=READER,
        expect=Expect(status=400, reason="malformed_request"),
        hardened=REFUSED_BY_ENVOY,
    ),
    Stop(
        who="reporting",
        what="claims x-extauthz-subject: admin",
        ask=Ask(path="/v1/reports/q3", headers=(("x-extauthz-subject", "admin"), ("X-Extauthz-Subject", "root"))),
        token=READER,
        expect=Expect(status=200, upstream=(("x-extauthz-subject", ("reporting",)),)),
    ),
    Stop(
        who="reporting",
        what="… and its twin x_extauthz_subject",
        ask=Ask(path="/v1/reports/q3", headers=(("x_extauthz_subject", "admin"), ("x-extauthz_subject", "admin"))),
        token=READER,
        expect=Expect(
            status=200,
            upstream=(
                ("x-extauthz-subject", ("reporting",)),
                ("x_extauthz_subject", ()),
                ("x-extauthz_subject", ()),
            ),
        ),
        hardened=REFUSED_BY_ENVOY,
    ),
    Stop(
        who="reporting",
        what="opens a websocket, not declared",
        ask=Ask(
            path="/v1/reports/q3",
            headers=(
                ("connection", "Upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-version", "13"),
                ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ),
        ),
        token=READER,
        expect=Expect(status=403, reason="upgrade_not_allowed"),
    ),
    Stop(
        who="a browser",
        what="sends a CORS preflight",
        ask=Ask(
            method="OPTIONS",
            path="/v1/reports/q3",
            headers=(("origin", "https://app.example.com"), ("access-control-request-method", "GET")),
        ),
        expect=OK,
    ),
    # --- guards stand above permits ---
    Stop(
        who="pipeline",
        what="deploys to staging",
        ask=deploy('{"environment": "staging"}'),
        token=PIPELINE,
        expect=OK,
    ),
    Stop(
        who="pipeline",
        what="deploys to production",
        ask=deploy('{"environment": "production"}'),
        token=PIPELINE,
        expect=Expect(
            status=403,
            reason="insufficient_scope",
            challenge=('error="insufficient_scope"', 'scope="deploy:production"'),
        ),
    ),
    Stop(
        who="pipeline",
        what="… with the scope that was asked for",
        ask=deploy('{"environment": "production"}'),
        token=RELEASE,
        expect=OK,
    ),
    Stop(
        who="pipeline's client",
        what="… which gets that scope by itself",
        ask=deploy('{"environment": "production"}'),
        token=PIPELINE,
        by_client=True,
        expect=OK,
    ),
    Stop(
        who="pipeline",
        what="… naming both environments at once",
        ask=deploy('{"environment": "staging", "environment": "production"}'),
        token=PIPELINE,
        expect=Expect(status=400, reason="unreadable_body"),
    ),
    Stop(
        who="alice's agent",
        what="deploys on her behalf, as she may",
        ask=deploy('{"environment": "staging"}'),
        token=Token(client="assistant"),
        expect=Expect(status=403, reason="forbidden"),
    ),
    # --- the issuer's keys change while everything runs ---
    Stop(
        who="reporting",
        what="reads with a token of the new key",
        ask=REPORT,
        token=Token(client="reporting", edition="after the rotation"),
        rotate=True,
        expect=OK,
    ),
    Stop(who="reporting", what="… with the token from before", ask=REPORT, token=READER, expect=OK),
    Stop(
        who="impostor",
        what="… with a key never published",
        ask=REPORT,
        token=Token(client="reporting", stranger=True),
        expect=invalid_token("signature_invalid"),
    ),
    # --- what is taken away is refused at the next request, also where the answer was kept ---
    Stop(who="reporting", what="reads once more, by a kept answer", ask=REPORT, token=READER, expect=OK),
    Stop(
        who="reporting",
        what="… its client revoked meanwhile",
        ask=REPORT,
        token=READER,
        run='revoke client reporting --reason "its secret is in a log"',
        expect=Expect(status=403, reason="identity_quarantined"),
    ),
    Stop(
        who="the thief",
        what="… with a new token, by that secret",
        ask=REPORT,
        token=Token(client="reporting", edition="by the leaked secret"),
        expect=Expect(status=403, reason="identity_quarantined"),
    ),
    Stop(
        who="reporting",
        what="… its secret rotated and released",
        ask=REPORT,
        token=Token(client="reporting", edition="by the new secret"),
        run='release client reporting --reason "the secret was rotated"',
        expect=OK,
    ),
)
"""Every stop, in order."""
