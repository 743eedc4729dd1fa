"""What an allowed request takes along."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import OkHttpResponse
from extauthz.model.identity import ANONYMOUS, Identity, Kind, Principal
from extauthz.response.upstream import OWN_NAMES, to_observed_upstream, to_upstream
from tests.simulators.decisions import ALLOW, IDENTITY, ISSUER, REQUEST, TARGET, decision_of, request_with

if TYPE_CHECKING:
    from extauthz.model.decision import Target
    from extauthz.model.request import Request

OWN = [
    f"x-extauthz-{part}"
    for part in ("subject", "actor", "actor-issuer", "client", "kind", "tenant", "issuer", "decision-id", "policy")
]


def set_by(changes: bytes) -> dict[str, str]:
    """Return all headers that are set, having checked that none is set twice."""
    options = OkHttpResponse.FromString(changes).headers
    headers = {option.header.key: option.header.value for option in options}
    assert len(headers) == len(options)
    return headers


def removed_by(changes: bytes) -> set[str]:
    """Return all names that are removed, having checked that none stands twice."""
    names = OkHttpResponse.FromString(changes).headers_to_remove
    assert len(set(names)) == len(names)
    return set(names)


def parameters_removed_by(changes: bytes) -> list[str]:
    """Return the query parameters that are removed."""
    return list(OkHttpResponse.FromString(changes).query_parameters_to_remove)


def changes(request: Request = REQUEST, target: Target = TARGET, identity: Identity | None = IDENTITY) -> bytes:
    """Return the changes for an allowed request."""
    return to_upstream(decision_of(ALLOW, identity=identity), request, target)


def test_the_upstream_learns_who_asks() -> None:
    """All that is known of the caller and the decision is set."""
    assert set_by(changes()) == {
        "x-extauthz-subject": "alice",
        "x-extauthz-actor": "agent-7",
        "x-extauthz-actor-issuer": ISSUER,
        "x-extauthz-client": "console",
        "x-extauthz-kind": "user",
        "x-extauthz-tenant": "acme",
        "x-extauthz-issuer": ISSUER,
        "x-extauthz-decision-id": "d-00112233445566778899",
        "x-extauthz-policy": "0123456789abcdef",
    }


def test_what_is_not_known_is_removed() -> None:
    """A header of ours that is not set for this caller cannot be the client's."""
    upstream = changes(identity=Identity(subject=Principal(issuer=ISSUER, subject="ci")))
    unset = {"x-extauthz-actor", "x-extauthz-client", "x-extauthz-kind", "x-extauthz-tenant"}
    assert unset <= removed_by(upstream)
    assert not unset & set_by(upstream).keys()


@pytest.mark.parametrize("identity", [ANONYMOUS, None])
def test_nobody_has_no_identity_headers(identity: Identity | None) -> None:
    """For anonymous callers and preflights every identity header is removed, none is set."""
    upstream = changes(identity=identity)
    assert set_by(upstream).keys() == {"x-extauthz-decision-id", "x-extauthz-policy"}
    assert set(OWN) - set_by(upstream).keys() <= removed_by(upstream)


def test_without_a_policy_none_is_named() -> None:
    """A decision without a policy revision removes the header."""
    decision = dataclasses.replace(decision_of(ALLOW), policy=None)
    assert "x-extauthz-policy" in removed_by(to_upstream(decision, REQUEST, TARGET))


@pytest.mark.parametrize("name", OWN)
def test_underscore_twins_are_removed_unseen(name: str) -> None:
    """Every spelling with underscores is removed although Envoy may hide it from us."""
    removed = removed_by(changes(request=request_with()))
    assert name.replace("-", "_") in removed
    assert name.replace("-", "_", 1) in removed
    assert "x-extauthz_" + name.removeprefix("x-extauthz-") in removed


def complete(request: Request) -> Request:
    """Return the request as shown by a proxy that hides nothing."""
    return dataclasses.replace(request, headers=dataclasses.replace(request.headers, complete=True))


def test_where_all_is_shown_only_what_is_there_is_removed() -> None:
    """Look-alikes, credentials and spellings alike; most requests need no removal at all."""
    names = ("x_extauthz_subject", "x-extauthz-admin", "cookie", "x_api_key", "x-amzn-oidc-data", "accept")
    upstream = changes(request=complete(request_with(*names, "authorization", "x-extauthz-kind")))
    assert removed_by(upstream) == {*names} - {"accept"}
    assert removed_by(changes(request=complete(REQUEST))) == set()


def test_an_observed_request_keeps_its_credentials_either_way() -> None:
    """Where all is shown, only forgeries that are there are removed; where it could not be read, every spelling."""
    request = request_with("x_extauthz_subject", "x.extauthz.role", "cookie")
    decision = decision_of(ALLOW)
    assert removed_by(to_observed_upstream(decision, complete(request))) == {"x_extauthz_subject", "x.extauthz.role"}
    unseen = {*OWN_NAMES} - {*OWN}
    assert removed_by(to_observed_upstream(decision, request)) == unseen | {"x.extauthz.role"}
    assert removed_by(to_observed_upstream(decision, None)) == unseen


@pytest.mark.parametrize(
    "name", ["x.extauthz.subject", "x_extauthz.subject", "x-extauthz-admin", "x-extauthz-", "x!extauthz~kind"]
)
def test_look_alikes_of_ours_are_removed_where_seen(name: str) -> None:
    """Any name that a server could read as one of ours is removed when the client sent it."""
    assert name in removed_by(changes(request=request_with(name)))
    assert name not in removed_by(changes(request=request_with()))


def test_a_spoofed_header_of_ours_is_overwritten_and_not_removed() -> None:
    """Removing would come after setting and take ours away too."""
    upstream = changes(request=request_with(*OWN))
    assert set_by(upstream)["x-extauthz-subject"] == "alice"
    assert not set(OWN) & removed_by(upstream)


@pytest.mark.parametrize("name", ["accept", "user-agent", "traceparent", "x-request-id", "x-forwarded-for", "x-extra"])
def test_other_headers_pass(name: str) -> None:
    """What is neither ours nor a credential is left alone."""
    assert name not in removed_by(changes(request=request_with(name)))


@pytest.mark.parametrize(
    "name",
    [
        *("cookie", "x-api-key", "x-vault-token", "private-token", "job-token", "deploy-token", "x-auth-token"),
        *("x-amz-security-token", "proxy-authorization", "impersonate-user", "impersonate-group", "impersonate-uid"),
        *("x-forwarded-access-token", "x-forwarded-user", "dpop"),
    ],
)
def test_undeclared_credentials_are_removed_unseen(name: str) -> None:
    """Known credential headers go, whether or not Envoy shows them, unless the resource forwards them."""
    assert name in removed_by(changes(request=request_with()))
    target = dataclasses.replace(TARGET, forward=frozenset({name}))
    assert name not in removed_by(changes(request=request_with(name), target=target))


@pytest.mark.parametrize("forward", [frozenset[str](), frozenset({"txn-token"})])
def test_a_transaction_token_passes_when_it_was_verified_and_never_else(forward: frozenset[str]) -> None:
    """A resource cannot forward one that nobody looked at; look-alikes of a verified one go as well."""
    target = dataclasses.replace(TARGET, forward=forward)
    request = request_with("txn-token", "txn_token")
    assert {"txn-token", "txn_token"} <= removed_by(changes(request=request, target=target))
    known = dataclasses.replace(IDENTITY, transaction="t-1")
    removed = removed_by(changes(request=request, target=target, identity=known))
    assert "txn-token" not in removed
    assert "txn_token" in removed


@pytest.mark.parametrize("name", ["x_vault_token", "impersonate-extra-scopes", "impersonate_user", "x_remote-extra_a"])
def test_look_alikes_of_credentials_are_removed_where_seen(name: str) -> None:
    """Families and other spellings of credential headers go too."""
    assert name in removed_by(changes(request=request_with(name)))


def test_the_carrier_passes_and_its_twins_do_not() -> None:
    """The declared carrier stays, `authorization` goes when it is not the carrier, look-alikes of the carrier go."""
    assert "authorization" not in removed_by(changes())
    target = dataclasses.replace(TARGET, carrier="x-machine-key", forward=frozenset({"x-late-key"}))
    request = request_with("x-machine-key", "x_machine_key", "x-late-key", "x_late-key", "authorization")
    removed = removed_by(changes(request=request, target=target))
    assert {"authorization", "x_machine_key", "x_late-key"} <= removed
    assert not {"x-machine-key", "x-late-key"} & removed


def test_without_a_carrier_authorization_is_removed() -> None:
    """`credential: none` lets no bearer token through."""
    assert "authorization" in removed_by(changes(target=dataclasses.replace(TARGET, carrier="")))


def test_ours_cannot_be_forwarded() -> None:
    """A resource cannot declare one of our names as a credential to forward."""
    target = dataclasses.replace(TARGET, forward=frozenset({"x-extauthz-admin"}))
    assert "x-extauthz-admin" in removed_by(changes(request=request_with("x-extauthz-admin"), target=target))


def test_long_names_are_judged_too() -> None:
    """A name too long to be remembered gets the same judgement."""
    name = "x_extauthz-" + "a" * 100
    assert name in removed_by(changes(request=request_with(name)))
    assert "a" * 100 not in removed_by(changes(request=request_with("a" * 100)))


def test_credential_parameters_follow_their_headers() -> None:
    """Token parameters go; GitLab's stay where its header is declared; an absent one is not mentioned."""
    request = request_with(query=(("private_token", "x"), ("access_token", "y"), ("access_token", "z"), ("q", "1")))
    assert parameters_removed_by(changes(request=request)) == ["access_token", "private_token"]
    target = dataclasses.replace(TARGET, carrier="private-token")
    assert parameters_removed_by(changes(request=request, target=target)) == ["access_token"]
    assert parameters_removed_by(changes(request=request_with(query=(("q", "1"),)))) == []


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        ("spiffe://example.org/ns/a", "spiffe://example.org/ns/a"),
        ("CN=a,O=b", "CN=a,O=b"),
        ("two words", "two%20words"),
        ("a%20b", "a%2520b"),
        ("zoë", "zo%C3%AB"),
        ("a\r\nx-extauthz-kind: user", "a%0D%0Ax-extauthz-kind:%20user"),
        ("nul\0", "nul%00"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_identity_values_survive_exactly(subject: str, value: str) -> None:
    """Whatever is not visible ASCII is percent-encoded; decoding gives the original back."""
    identity = Identity(subject=Principal(issuer=ISSUER, subject=subject, kind=Kind.CI))
    assert set_by(changes(identity=identity))["x-extauthz-subject"] == value
    assert unquote(value, errors="surrogatepass") == subject


def test_an_identity_is_never_cut() -> None:
    """A value that is too long after encoding is an error, not a shorter identity."""
    identity = dataclasses.replace(IDENTITY, tenant="é" * 3000)
    with pytest.raises(ValueError, match="too long"):
        changes(identity=identity)
