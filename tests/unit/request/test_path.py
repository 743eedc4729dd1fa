"""Tests of `extauthz/request/path.py`: one reading of a path, or a refusal."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

import pytest

from extauthz.limits import MAX_PATH_BYTES
from extauthz.model.reason import Reason
from extauthz.request.path import Target, target_from
from tests.unit.request.refusals import reason_of, refusal_of

REFUSED = {
    # The table of standards, all below an allowed `/api/public/`.
    "dot segments": "/api/public/../admin",
    "encoded dot segments": "/api/public/%2e%2e/admin",
    "half encoded dot segments": "/api/public/%2E./admin",
    "encoded slash after dots": "/api/public/..%2fadmin",
    "encoded backslash after dots": "/api/public/..%5cadmin",
    "doubly encoded dots": "/api/public/%252e%252e/admin",
    "path parameter after dots": "/api/public/..;/admin",
    "double slash in front": "//api/admin",
    "double slashes and dots": "/api/public//..//admin",
    "encoded slash": "/api/public/a%2Fb",
    "encoded slash, lower case": "/api/public/a%2fb",
    "bad hex": "/api/public/%zz",
    "lone percent": "/api/public/%",
    "cut percent": "/api/public/%4",
    "NUL": "/api/public/%00",
    "overlong slash": "/api/public/%c0%af",
    "overlong dot": "/api/public/%c0%ae",
    # Further ways to another path.
    "no leading slash": "api/public",
    "empty": "",
    "only a query": "?a=b",
    "asterisk form": "*",
    "absolute form": "http://other.example/admin",
    "double slash at the end": "/api//",
    "double slash inside": "/api//admin",
    "only slashes": "//",
    "single dot": "/api/./admin",
    "dot at the end": "/api/.",
    "dots at the end": "/api/..",
    "three dots": "/api/...",
    "encoded dot": "/api/%2e/admin",
    "raw backslash": "/api\\admin",
    "encoded backslash": "/api%5Cadmin",
    "encoded percent": "/api%25admin",
    "path parameter": "/admin;x=1",
    "encoded semicolon": "/admin%3Bx=1",
    "fragment": "/admin#x",
    "encoded hash": "/admin%23x",
    "encoded question mark": "/admin%3Fx",
    "raw space": "/a b",
    "raw tab": "/a\tb",
    "raw line break": "/a\r\nb",
    "raw NUL": "/a\x00b",
    "raw non-ASCII": "/é",
    "raw fullwidth slash": "/a／b",  # noqa: RUF001 — the trap itself
    "raw quote": '/a"b',
    "raw bracket": "/a[b]",
    "encoded line break": "/a%0d%0ab",
    "encoded tab": "/a%09b",
    "encoded delete": "/a%7Fb",
    "encoded C1 control": "/a%C2%85b",
    "truncated utf-8": "/a%C3",
    "latin-1": "/a%E9",
    "surrogate": "/a%ED%A0%80",
    "beyond Unicode": "/a%F4%90%80%80",
    "zero-width space": "/adm%E2%80%8Bin",
    "right-to-left override": "/a%E2%80%AEb",
    "no-break space": "/a%C2%A0b",
    "fullwidth slash": "/a%EF%BC%8Fb",
    "fullwidth dots": "/a/%EF%BC%8E%EF%BC%8E/b",
    "two dot leader": "/a/%E2%80%A5/b",
    "fullwidth backslash": "/a%EF%BC%BCb",
    "decomposed letter": "/cafe%CC%81",
    "trailing dot": "/admin.",
    "trailing dot in the middle": "/admin./x",
    "trailing space": "/admin%20",
    "dots and a trailing space": "/a/..%20/b",
    "leading space": "/%20admin",
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_refuses_what_can_be_read_differently(raw: str) -> None:
    """Each trap is a `malformed_request` whose sentence repeats nothing of the path."""
    refusal = refusal_of(lambda: target_from(raw))
    assert refusal.reason is Reason.MALFORMED_REQUEST
    assert refusal.detail.endswith(".")
    assert "admin" not in refusal.detail


@pytest.mark.parametrize(
    "trap", ["dot segments", "encoded dot segments", "encoded slash after dots", "dots and a trailing space"]
)
def test_the_traps_are_real(trap: str) -> None:
    """A reader that decodes, trims and resolves, as some upstreams do, ends at another path than the one shown."""
    naive = posixpath.normpath("/".join(part.rstrip(" ") for part in unquote(REFUSED[trap]).split("/")))
    assert naive in {"/api/admin", "/b"}


@pytest.mark.parametrize(
    ("raw", "path", "segments"),
    [
        ("/", "/", ("",)),
        ("/api/public", "/api/public", ("api", "public")),
        ("/api/public/", "/api/public/", ("api", "public", "")),
        ("/api/public/a%20b", "/api/public/a%20b", ("api", "public", "a b")),
        ("/api/public/%C3%A9", "/api/public/%C3%A9", ("api", "public", "é")),
        ("/api/public/%c3%a9", "/api/public/%C3%A9", ("api", "public", "é")),
        ("/%7Euser/%41", "/~user/A", ("~user", "A")),
        ("/a%2Bb+c", "/a+b+c", ("a+b+c",)),
        ("/a%2Eb/c.d", "/a.b/c.d", ("a.b", "c.d")),
        ("/.well-known/x", "/.well-known/x", (".well-known", "x")),
        ("/..a/.b", "/..a/.b", ("..a", ".b")),
        ("/v1/things:batchGet", "/v1/things:batchGet", ("v1", "things:batchGet")),
        ("/!$&'()*+,=:@-._~", "/!$&'()*+,=:@-._~", ("!$&'()*+,=:@-._~",)),
        ("/%21%24%26%5B%5D", "/!$&%5B%5D", ("!$&[]",)),
        ("/Admin", "/Admin", ("Admin",)),
        ("/%E6%97%A5%E6%9C%AC", "/%E6%97%A5%E6%9C%AC", ("日本",)),
        ("/%F0%9F%98%80", "/%F0%9F%98%80", ("😀",)),
        ("/pkg.Service/Method", "/pkg.Service/Method", ("pkg.Service", "Method")),
    ],
)
def test_accepts_one_spelling(raw: str, path: str, segments: tuple[str, ...]) -> None:
    """Harmless paths come out in canonical spelling with their segments decoded."""
    assert target_from(raw) == Target(path, segments, ())
    assert target_from(path) == Target(path, segments, ())


@pytest.mark.parametrize("raw", ["/api/public", "/api/publicx", "/api/Public/x", "/api/public%20x"])
def test_neighbours_of_a_prefix_have_other_segments(raw: str) -> None:
    """What only looks like `/api/public/…` does not have its first two segments and one more."""
    segments = target_from(raw).segments
    assert not (segments[:2] == ("api", "public") and len(segments) > 2)


def test_query_is_not_path() -> None:
    """Dots and slashes after the question mark are parameters, and a second question mark belongs to them."""
    target = target_from("/api/public/a?x=/../admin&y=a?b")
    assert target.path == "/api/public/a"
    assert target.query == (("x", "/../admin"), ("y", "a?b"))


def test_an_empty_query_is_no_query() -> None:
    """A question mark with nothing after it changes nothing."""
    assert target_from("/a?") == target_from("/a")


def test_length_is_bounded() -> None:
    """Path and query of exactly the limit are read, one byte more is `request_too_large`."""
    assert target_from("/" + "a" * (MAX_PATH_BYTES - 3) + "?a").query == (("a", ""),)
    assert reason_of(lambda: target_from("/" + "a" * (MAX_PATH_BYTES - 2) + "?a")) is Reason.REQUEST_TOO_LARGE
