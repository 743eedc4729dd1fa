"""The client's end of the connection, as the proxy saw it and never as the client says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extauthz.errors import Refusal
from extauthz.identity.certificate_rules import Forwarded
from extauthz.identity.peer import find_peer
from extauthz.model.reason import Reason
from tests.simulators.client_certificates import Authority, element, request, uri

if TYPE_CHECKING:
    from extauthz.model.request import Request

AUTHORITY = Authority()
ONE = AUTHORITY.issue(uri("spiffe://example.org/a"))
OTHER = AUTHORITY.issue(uri("spiffe://example.org/b"))
TRUSTED = (Forwarded.ONLY, Forwarded.LAST)


def found(request: Request, forwarded: Forwarded = Forwarded.IGNORED) -> str:
    """Return the thumbprint that is found; empty for none."""
    peer = find_peer(request, forwarded)
    return peer.thumbprint if peer is not None else ""


def refused(request: Request, forwarded: Forwarded) -> Reason:
    """Return the reason of the refusal."""
    with pytest.raises(Refusal) as refusal:
        find_peer(request, forwarded)
    return refusal.value.reason


def test_no_certificate_is_none() -> None:
    """Whatever the header is worth."""
    assert [found(request(), forwarded) for forwarded in Forwarded] == ["", "", ""]


@pytest.mark.parametrize("forwarded", Forwarded)
def test_envoy_s_own_account_counts(forwarded: Forwarded) -> None:
    """Whatever the header is worth."""
    assert found(request(ONE), forwarded) == ONE.thumbprint


def test_a_forwarded_certificate_counts_only_where_it_is_trusted() -> None:
    """A client can send the header as well."""
    forged = request(None, element(ONE))
    assert found(forged) == ""
    assert [found(forged, forwarded) for forwarded in TRUSTED] == [ONE.thumbprint] * 2


def test_an_ignored_header_is_not_even_read() -> None:
    """Neither nonsense nor another certificate in it matters."""
    assert found(request(ONE, "nonsense")) == ONE.thumbprint
    assert found(request(ONE, element(OTHER))) == ONE.thumbprint


@pytest.mark.parametrize(
    "lines", [(f"{element(OTHER)},{element(ONE)}",), (element(OTHER), element(ONE))], ids=["one line", "two lines"]
)
def test_the_last_element_is_the_proxy_s_own(lines: tuple[str, ...]) -> None:
    """Those before it come from further away; where the proxy replaces the header there are none."""
    assert found(request(None, *lines), Forwarded.LAST) == ONE.thumbprint
    assert refused(request(None, *lines), Forwarded.ONLY) is Reason.CREDENTIALS_MALFORMED


FORGED = f"Hash={OTHER.digest.hex()}"


@pytest.mark.parametrize("key", ["URI", "DNS", "uri"])
@pytest.mark.parametrize(
    "name",
    [f"https://a.example,{FORGED}", f",{FORGED}", f'"a",{FORGED}', f",By=a,{FORGED};{{}}=b"],
    ids=["after a name", "at once", "in quotes", "whole elements"],
)
def test_a_certificate_cannot_add_an_element_of_its_own(key: str, name: str) -> None:
    """Envoy writes these names as they stand in the certificate, and a client can sign itself any name."""
    shown = element(ONE, f"{key}={name.format(key)}")
    assert refused(request(None, shown), Forwarded.LAST) is Reason.CREDENTIALS_MALFORMED
    assert refused(request(None, shown), Forwarded.ONLY) is Reason.CREDENTIALS_MALFORMED


def test_an_open_quote_does_not_hide_where_a_certificate_s_name_begins() -> None:
    """The client sends the quote, the proxy appends its element to it, and the certificate closes the quote."""
    appended = f'By=a;Hash={ONE.digest.hex()};URI=",{FORGED}'
    assert refused(request(None, f'Subject="x,{appended}'), Forwarded.LAST) is Reason.CREDENTIALS_MALFORMED


def test_names_of_a_certificate_in_the_only_element_do_no_harm() -> None:
    """There is none that they could have added."""
    for forwarded in TRUSTED:
        assert (
            found(request(None, element(ONE, "URI=spiffe://example.org/a", "DNS=a.example")), forwarded)
            == ONE.thumbprint
        )


@pytest.mark.parametrize("forwarded", TRUSTED)
def test_both_accounts_must_agree(forwarded: Forwarded) -> None:
    """Two certificates are two credentials."""
    assert found(request(ONE, element(ONE)), forwarded) == ONE.thumbprint
    assert refused(request(ONE, element(OTHER)), forwarded) is Reason.CREDENTIALS_AMBIGUOUS
    assert refused(request(ONE, element(OTHER, cert=False)), forwarded) is Reason.CREDENTIALS_AMBIGUOUS


@pytest.mark.parametrize(
    "value",
    [
        f'Hash={OTHER.digest.hex()};Cert="{ONE.encoded}"',
        f'Chain="{OTHER.encoded}";Cert="{ONE.encoded}"',
        f'Hash={OTHER.digest.hex()};Chain="{ONE.encoded}"',
        "By=spiffe://example.org/edge",
        f'Cert="{ONE.encoded}{OTHER.encoded}"',
        "Cert=nonsense",
        "nonsense",
    ],
)
def test_an_element_says_one_thing(value: str) -> None:
    """Hash, certificate and chain are about the same certificate, and one of them is there."""
    assert refused(request(None, value), Forwarded.LAST) is Reason.CREDENTIALS_MALFORMED


def test_hash_alone_and_chain_alone_are_enough_to_know_which_certificate() -> None:
    """With a chain there are also the certificates between; they are kept when Envoy's own account is there too."""
    by_hash = find_peer(request(None, element(ONE, cert=False)), Forwarded.LAST)
    assert by_hash is not None
    assert (by_hash.thumbprint, by_hash.certificate) == (ONE.thumbprint, None)
    chain = f'Chain="{ONE.encoded}{OTHER.encoded}"'
    for seen in (None, ONE):
        peer = find_peer(request(seen, chain), Forwarded.LAST)
        assert peer is not None
        assert peer.certificate is not None
        assert peer.certificate.thumbprint == ONE.thumbprint
        assert [each.thumbprint for each in peer.intermediates] == [OTHER.thumbprint]
