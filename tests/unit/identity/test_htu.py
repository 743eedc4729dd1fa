"""URIs in a form that can be compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extauthz.identity.htu import Origin, parse_origin, parse_uri, uri_of

API = Origin("https", "api.example.com", "")


@pytest.mark.parametrize(
    "spelling",
    [
        "https://api.example.com/a/~b",
        "HTTPS://api.example.com/a/~b",
        "https://API.Example.COM/a/~b",
        "https://api.example.com:443/a/~b",
        "https://api.example.com:/a/~b",
        "https://api.example.com/a/%7Eb",
        "https://api.example.com/a/%7eb",
        "https://api.example.com/%61/~b",
        "https://api.example.com/x/../a/~b",
        "https://api.example.com/x/%2E%2e/a/~b",
        "https://api.example.com/../a/~b",
        "https://api.example.com/a/./~b",
        "https://api.example.com/a/~b?q=1&r=/../x",
        "https://api.example.com/a/~b#f?g",
        "https://api.example.com/a/~b?q#f",
    ],
)
def test_spellings_of_one_address(spelling: str) -> None:
    """RFC 3986 sections 6.2.2 and 6.2.3, query and fragment left out."""
    assert parse_uri(spelling) == uri_of(API, ("a", "~b"))


@pytest.mark.parametrize(
    "other",
    [
        "http://api.example.com/a/~b",
        "https://api.example.com:8443/a/~b",
        "https://api.example.com:80/a/~b",
        "https://www.example.com/a/~b",
        "https://api.example.com./a/~b",
        "https://api.example.com/A/~b",
        "https://api.example.com/a/~b/",
        "https://api.example.com//a/~b",
        "https://api.example.com/a%2F~b",
        "https://api.example.com/a/~b%3Fq",
        "https://api.example.com/a/%257Eb",
        "https://api.example.com/a/~b/..",
        "https://api.example.com/a",
        "https://api.example.com",
    ],
)
def test_other_addresses(other: str) -> None:
    """Each is an address, and another one."""
    parsed = parse_uri(other)
    assert parsed is not None
    assert parsed != uri_of(API, ("a", "~b"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/a",
        "//api.example.com/a",
        "api.example.com/a",
        "ftp://api.example.com/a",
        "wss://api.example.com/a",
        "https:/api.example.com/a",
        "https://",
        "https:///a",
        "https://user@api.example.com/a",
        "https://api.example.com@evil.example/a",
        "https://api.example.com\\@evil.example/a",
        "https://api.example.com/a b",
        " https://api.example.com/a",
        "https://api.example.com/a\n",
        "https://api.example.com/%",
        "https://api.example.com/%2",
        "https://api.example.com/%zz",
        "https://api.example.com/é",
        "https://äpi.example.com/a",
        "https://api.example.com:x/a",
        "https://api.example.com:0443/a",
        "https://api.example.com:443443/a",
        "https://[::1/a",
    ],
)
def test_what_is_no_address(text: str) -> None:
    """Nothing is guessed from a text that is no http(s) URI, or that names a user."""
    assert parse_uri(text) is None


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        ("", ("",)),
        ("/", ("",)),
        ("/.", ("",)),
        ("/..", ("",)),
        ("/a/..", ("",)),
        ("/a/.", ("a", "")),
        ("/a/b/..", ("a", "")),
        ("/a//../b", ("a", "b")),
        ("/caf%C3%A9", ("café",)),
        ("/a;b", ("a;b",)),
    ],
)
def test_paths(path: str, segments: tuple[str, ...]) -> None:
    """Dot segments leave a slash behind where they end a path (RFC 3986 section 5.2.4)."""
    assert parse_uri(f"https://api.example.com{path}") == uri_of(API, segments)


SEGMENTS = st.lists(st.sampled_from(["a", "b", ".", "..", "", "c.d", "..."]), min_size=1, max_size=8)


def remove_dot_segments(path: str) -> str:
    """Return `path` after the five steps of RFC 3986 section 5.2.4, as they stand there, for absolute paths."""
    left, output = path, ""
    while left:
        if left.startswith("/./") or left == "/.":
            left = "/" + left[3:]
        elif left.startswith("/../") or left == "/..":
            left = "/" + left[4:]
            output = output.rpartition("/")[0]
        else:
            end = left.find("/", 1)
            end = len(left) if end < 0 else end
            output, left = output + left[:end], left[end:]
    return output


@given(SEGMENTS)
def test_dot_segments_as_the_standard_removes_them(segments: list[str]) -> None:
    """The steps of the standard, carried out on text, come to the same path."""
    path = "/" + "/".join(segments)
    parsed = parse_uri(f"https://api.example.com{path}")
    assert parsed is not None
    assert "/" + "/".join(segment.decode() for segment in parsed.segments) == remove_dot_segments(path)


@given(st.text(max_size=40))
def test_any_text_has_a_reading_or_none(text: str) -> None:
    """Nothing is raised, and what has a reading reads the same when written out."""
    for candidate in (text, f"https://{text}", f"https://api.example.com/{text}"):
        parsed = parse_uri(candidate)
        if parsed is not None:
            path = "/".join("".join(f"%{octet:02X}" for octet in segment) for segment in parsed.segments)
            if b"." not in parsed.segments and b".." not in parsed.segments:
                assert parse_uri(f"{parsed.origin}/{path}") == parsed


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com:443/", "https://api.example.com"),
        ("http://api.example.com:80", "http://api.example.com"),
        ("http://127.0.0.1:10000", "http://127.0.0.1:10000"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_an_origin_is_written_in_one_way(text: str, origin: str) -> None:
    """Lower case and without the default port."""
    assert str(parse_origin(text)) == origin


@pytest.mark.parametrize("text", ["https://api.example.com/v1", "api.example.com", ""])
def test_an_origin_has_no_path(text: str) -> None:
    """Whoever configures a path expects something that would not happen."""
    with pytest.raises(ValueError, match="not an origin"):
        parse_origin(text)
