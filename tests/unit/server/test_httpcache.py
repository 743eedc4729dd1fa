"""How long a document may be used, by its headers; what cannot be read counts as not said."""

from __future__ import annotations

import pytest

from extauthz.server.httpcache import etag_of, fresh_seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"cache-control": "max-age=60"}, 60.0),
        ({"cache-control": "public, Max-Age=60"}, 60.0),
        ({"cache-control": 'max-age="60"'}, 60.0),
        ({"cache-control": "max-age=60, max-age=30"}, 30.0),
        ({"cache-control": "max-age=60", "age": "50"}, 10.0),
        ({"cache-control": "max-age=60", "age": "61"}, 0.0),
        ({"cache-control": "max-age=60", "age": "old"}, 60.0),
        ({"cache-control": "max-age=60, no-cache"}, 0.0),
        ({"cache-control": "no-store, max-age=60"}, 0.0),
        ({"cache-control": "max-age=-1"}, None),
        ({"cache-control": "max-age=1e9"}, None),
        ({"cache-control": "max-age=99999999999"}, None),
        ({"cache-control": "s-maxage=60"}, None),
        ({"cache-control": "private"}, None),
        ({"expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, None),
    ],
)
def test_freshness(headers: dict[str, str], seconds: float | None) -> None:
    """A private cache's `max-age`, less the age it has already; the shortest where there are several."""
    assert fresh_seconds(headers) == seconds


@pytest.mark.parametrize(
    ("tag", "kept"), [('"a"', True), ('W/"a b"', False), ('W/"ab"', True), ("a", False), ('"a"x', False), ("", False)]
)
def test_only_well_formed_tags_are_sent_back(tag: str, kept: bool) -> None:
    """Another server's words must not break our request's lines."""
    assert etag_of({"etag": tag}) == (tag if kept else "")
    assert etag_of({}) == ""
