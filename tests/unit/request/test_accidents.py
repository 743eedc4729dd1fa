"""One regression test per accident of this field that happened between bytes and request."""

from __future__ import annotations

from functools import partial

import pytest

from extauthz.model.reason import Reason
from extauthz.request.decode import decode
from tests.simulators.envoy_messages import check_request
from tests.unit.request.refusals import reason_of

SHAPES = pytest.mark.parametrize("raw_headers", [False, True], ids=["headers", "header_map"])


@SHAPES
def test_cve_2021_32777_repeated_security_headers(raw_headers: bool) -> None:
    """Repeated headers that authorizer and upstream could see differently are refused (also CVE-2026-26308)."""
    for name in ("authorization", "host", "content-type", "content-length"):
        raw = check_request(headers=[(name, "1"), (name, "2")], raw_headers=raw_headers)
        assert reason_of(partial(decode, raw)) in {
            Reason.CREDENTIALS_AMBIGUOUS,
            Reason.MALFORMED_REQUEST,
        }


@SHAPES
def test_cve_2026_26308_joined_values_are_one_value(raw_headers: bool) -> None:
    """A repeated header of our own policies keeps what is needed to see that it is repeated."""
    headers = decode(check_request(headers=[("x-role", "user"), ("x-role", "admin")], raw_headers=raw_headers)).headers
    assert headers.all("x-role") == (("user", "admin") if raw_headers else ("user,admin",))
    assert "admin" not in headers.all("x-role")[:1]


@SHAPES
def test_cve_2023_27488_bytes_that_are_not_utf8(raw_headers: bool) -> None:
    """Non-UTF-8 header bytes neither break the question nor vanish (also CVE-2024-23324)."""
    raw = check_request(headers=[("x-user", b"\xffadmin")], raw_headers=raw_headers)
    assert decode(raw).headers.all("x-user") == ("!admin",)


@pytest.mark.parametrize(
    "path", ["/public/\x00/../admin", "/public/%00/admin", "/public/../admin", "/public/..;/admin"]
)
def test_cve_2019_9901_paths_with_nul_dots_and_parameters(path: str) -> None:
    """NUL, dot segments and path parameters are refused (CVE-2019-9900, -9901, CVE-2026-73551, -73511, -73553)."""
    assert reason_of(lambda: decode(check_request(path=path))) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("path", ["//admin", "//admin/x", "///admin"])
def test_cve_2026_26205_a_path_is_no_authority(path: str) -> None:
    """Two slashes in front do not turn the first segment into a host name; they are refused."""
    assert reason_of(lambda: decode(check_request(path=path))) is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("path", ["pkg.Service/Method", "", " /x"])
def test_cve_2026_33186_a_path_has_its_slash(path: str) -> None:
    """A path without leading slash is refused instead of missing every rule."""
    assert reason_of(lambda: decode(check_request(path=path))) is Reason.MALFORMED_REQUEST


def test_ghsa_vhr5_ggp3_qq85_forwarded_headers_are_only_headers() -> None:
    """`x-forwarded-*` change neither method, host, path nor source (also CVE-2026-40575)."""
    forged = {
        "x-forwarded-host": "other.example",
        "x-forwarded-uri": "/public",
        "x-forwarded-method": "GET",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http",
    }
    plain, told = decode(check_request("DELETE", "/admin")), decode(check_request("DELETE", "/admin", headers=forged))
    for field in ("method", "host", "path", "segments", "query", "source"):
        assert getattr(told, field) == getattr(plain, field)
