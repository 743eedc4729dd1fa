"""Properties of the canonicalisers of path and host."""

from __future__ import annotations

import posixpath
import string
import unicodedata
from urllib.parse import quote, unquote

from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz.errors import Refusal
from extauthz.request.host import canonical_host
from extauthz.request.path import Target, target_from

_HARMLESS = ["a", "b.c", "%41", "%7e", "%C3%A9", "x%20y", "+", "=", "&", ":", "@", "%F0%9F%98%80", "%5b", "-", "_"]
_TRAPS = [
    "/",
    ".",
    "..",
    "%2e",
    "%2E",
    "%2f",
    "%5C",
    "%25",
    "%c3",
    "%e2%80%8b",
    "%20",
    "%00",
    "%zz",
    "%",
    ";",
    "\\",
    "#",
]
_DISGUISES = ["%EF%BC%8F", "%EF%BC%8E", "%E2%80%A5", "e%CC%81", "é", " ", "%3f", "%252e", "%c0%ae", "%3B"]

_SEGMENTS = st.lists(st.sampled_from(_HARMLESS), min_size=1, max_size=4).map("".join)
_GOOD = st.lists(_SEGMENTS, max_size=4).map(lambda segments: "/" + "/".join(segments))
_BAD = st.lists(st.sampled_from([*_HARMLESS, *_TRAPS, *_DISGUISES]), max_size=8).map(
    lambda pieces: "/" + "".join(pieces)
)
_RAW = st.one_of(_GOOD, st.builds("{}{}".format, _GOOD, _BAD), _BAD, st.text(max_size=20).map(lambda text: "/" + text))
"""About half of these are accepted."""


def _target(raw: str) -> Target | None:
    try:
        return target_from(raw)
    except Refusal:
        return None


@given(_RAW)
@settings(max_examples=500, deadline=None)
def test_canonical_paths_stay_as_they_are(raw: str) -> None:
    """Canonicalising twice is canonicalising once."""
    target = _target(raw)
    if target is None:
        return
    assert target_from(target.path) == Target(target.path, target.segments, ())


@given(_RAW)
@settings(max_examples=500, deadline=None)
def test_an_accepted_path_reads_the_same_fully_decoded(raw: str) -> None:
    """However often an upstream decodes and resolves an accepted path, it reads the same segments."""
    target = _target(raw)
    if target is None:
        return
    decoded = raw.partition("?")[0]
    while (again := unquote(decoded)) != decoded:
        decoded = again
    assert tuple(decoded[1:].split("/")) == target.segments
    resolved = posixpath.normpath(unicodedata.normalize("NFKC", decoded).replace("\\", "/"))
    assert resolved == unicodedata.normalize("NFKC", decoded).rstrip("/") or resolved == "/"


@given(_RAW, st.text(string.ascii_letters + string.punctuation, max_size=20))
@settings(deadline=None)
def test_the_query_never_influences_the_path(raw: str, query: str) -> None:
    """A path with any accepted query has the path and segments it has without."""
    path = raw.partition("?")[0]
    target = _target(f"{path}?{query}")
    if target is None:
        return
    assert target[:2] == target_from(path)[:2]


_SEGMENT = st.text(
    st.characters(categories=["L", "N", "Sm"], include_characters=" -_.~!$&'()*+,=:@[]"), min_size=1, max_size=8
).map(lambda text: unicodedata.normalize("NFC", text))


@given(st.lists(_SEGMENT, min_size=1, max_size=4))
@settings(deadline=None)
def test_visible_segments_survive_encoding(segments: list[str]) -> None:
    """Ordinary text, percent-encoded as a client should, comes back as it was, unless it is on the list of traps."""
    target = _target("/" + "/".join(quote(segment, safe="") for segment in segments))
    if target is None:
        folded = [unicodedata.normalize("NFKC", segment) for segment in segments]
        traps = [f for f in folded if f.strip(" ").rstrip(".") != f or set("/\\%;?#") & set(f)]
        assert traps or not all(segment.isprintable() for segment in segments)
        return
    assert target.segments == tuple(segments)


@given(
    st.one_of(
        st.text(max_size=20),
        st.text("aB1-_.:[]@%é", max_size=20),
        st.from_regex(r"[A-Za-z0-9.-]{1,20}(:[0-9]{1,5})?", fullmatch=True),
        st.ip_addresses().map(lambda address: f"[{address}]:443" if address.version == 6 else str(address)),
    )
)
@settings(max_examples=500, deadline=None)
def test_canonical_hosts_stay_as_they_are(raw: str) -> None:
    """Canonicalising a host twice is canonicalising it once."""
    try:
        host = canonical_host(raw)
    except Refusal:
        return
    assert canonical_host(host) == host
    assert host == host.lower()
