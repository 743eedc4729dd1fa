"""`x-forwarded-client-cert` is read strictly."""

from __future__ import annotations

import pytest

from extauthz.errors import Refusal
from extauthz.identity.xfcc import Element, parse_xfcc
from extauthz.model.reason import Reason

HASH = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688"
DIGEST = bytes.fromhex(HASH)


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        (f"Hash={HASH}", [Element(digest=DIGEST)]),
        (f"hash={HASH.upper()}", [Element(digest=DIGEST)]),
        (f'By=spiffe://a/b;Hash={HASH};Subject="";URI=', [Element(digest=DIGEST)]),
        (f"By=spiffe://a/b;By=https://b;Hash={HASH};DNS=a;DNS=b", [Element(digest=DIGEST)]),
        ('CERT="a%20b";Chain="c"', [Element(certificate="a%20b", chain="c")]),
        ("Cert=abc", [Element(certificate="abc")]),
        (f'By=x;Hash={HASH};Subject="CN=a,O=b;c=\\"d\\"\\\\\\,"', [Element(digest=DIGEST)]),
        (f"By=a,Hash={HASH}", [Element(), Element(digest=DIGEST)]),
        ('Cert="a,b",Cert="a\\"b"', [Element(certificate="a,b"), Element(certificate='a"b')]),
        ("Hash=", [Element()]),
    ],
)
def test_elements_are_read(value: str, elements: list[Element]) -> None:
    """Keys in any case, quoted and plain values, escapes, several elements in order."""
    assert parse_xfcc(value) == tuple(elements)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        ";",
        "By",
        "=a",
        "By=a,",
        "By=a;",
        ",By=a",
        "By=a;;Hash=",
        "By =a",
        " By=a",
        "By=a, Hash=",
        'By="a',
        'By="a"b',
        'By=a"b"',
        'By="a\\',
        "URI=https://a?b=c",
        "Unknown=a",
        f"Hash={HASH};Hash={HASH}",
        f"Hash={HASH};hash={HASH}",
        'Cert="a";Cert="b"',
        f"Hash={HASH[:-2]}",
        f"Hash={HASH}00",
        f"Hash={HASH[:-1]}g",
        "Hash=٤" + HASH[1:],
        '[{"Hash":"a"}]',
        '{"Hash":"a"}',
        f'Subject=",Hash={HASH};Subject="CN=a"',
    ],
)
def test_anything_else_is_refused(value: str) -> None:
    """Also JSON, repeated keys, and a quote that is opened in one element and closed in the next."""
    with pytest.raises(Refusal) as refusal:
        parse_xfcc(value)
    assert refusal.value.reason is Reason.CREDENTIALS_MALFORMED
    assert "text format" in refusal.value.detail
