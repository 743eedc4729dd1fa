"""No header value is read on the way to a decision that the name of a question leaves out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from extauthz import pipeline
from extauthz.audit.record import to_record
from extauthz.identity.rules import ApiKeyRules
from extauthz.ids import DecisionId
from extauthz.model.carriers import API_KEY_HEADERS
from extauthz.model.request import Headers
from extauthz.pipeline import Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.request import headers as header_rules
from extauthz.request.bounds import Proxy
from extauthz.request.question import VALUES_READ
from tests.simulators.apikeys import DAY, MemoryApiKeys, make_key
from tests.simulators.envoy_messages import TYPICAL_HEADERS, check_request
from tests.simulators.profiles import profile
from tests.simulators.tokens import NOW, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from extauthz.policy.ruleset import Ruleset

CREDENTIALS = frozenset({"authorization", "proxy-authorization", *API_KEY_HEADERS})
CORRELATION = frozenset({"x-request-id", "traceparent"})
POLICY = """
resources:
  - name: thing
    action: read
    match: {host: api.example.com, path: "/things/{id}", methods: [GET, POST]}
    preflight: true
    upgrades: [websocket]
    attributes:
      mode: {from: header.x-mode, optional: true}
      colour: {from: query.colour, optional: true}
  - name: order
    action: write
    match: {host: api.example.com, path: "/orders", methods: [POST]}
    attributes: {size: body.size}
  - {name: open, action: read, match: {host: api.example.com, path: /open, methods: [GET]}, credential: none}
  - name: keyed
    action: read
    match: {host: api.example.com, path: /keyed, methods: [GET]}
    credential: api_key
    verify: keyed
permits:
  - {id: p1, who: anyone, may: [thing.read], when: 'resource.mode == "x"', require: [{scopes: [read]}]}
  - {id: p2, who: anyone, may: [order.write, open.read], when: 'request.host == "api.example.com"'}
"""
MAKER = TokenMaker()
KEY, ROW = make_key()
KEYED = replace(profile(), api_keys=ApiKeyRules(header="x-api-key", max_lifetime=30 * DAY))
RULESET = compile_policy({"policy.yaml": POLICY.encode()}, PolicyContext())
EVERY_HEADER = {
    **{name: value for name, value in TYPICAL_HEADERS.items() if name != "authorization"},
    "cookie": "a=b",
    "x-api-key": KEY,
    "x-extauthz-subject": "admin",
    "host": "api.example.com",
    "x-mode": "x",
    "forwarded": "for=1",
}


class Watched(dict[str, tuple[str, ...]]):
    """Header lines that note whose values are read; looking at names is not noted."""

    def __init__(self, lines: dict[str, tuple[str, ...]], read: set[str]) -> None:
        super().__init__(lines)
        self.read = read

    def __getitem__(self, name: str) -> tuple[str, ...]:
        """Note the name."""
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Note the name when it is there."""
        if name in self:
            self.read.add(name)
        return super().get(name, default)

    def values(self) -> Any:
        """Note every name."""
        self.read.update(self)
        return super().values()

    def items(self) -> Any:
        """Note every name."""
        self.read.update(self)
        return super().items()


def many_requests() -> Iterator[bytes]:
    """Yield requests that reach every reader of headers, each with headers of every sort."""
    token = {"authorization": f"Bearer {MAKER.mint(scope='read')}"}
    sent = {**EVERY_HEADER, **token}
    preflight = {"origin": "https://app.example", "access-control-request-method": "GET"}
    form = {"content-type": "application/x-www-form-urlencoded"}
    for raw_headers in (False, True):
        for path in ("/things/7?colour=red", "/orders", "/open", "/keyed", "/nothing"):
            for method, headers in (
                ("GET", sent),
                ("GET", EVERY_HEADER),
                ("GET", {**sent, "connection": "keep-alive"}),
                ("GET", {**sent, "upgrade": "websocket", "connection": "upgrade"}),
                ("GET", {**sent, "http2-settings": "AAMAAABk", "connection": "upgrade, http2-settings"}),
                ("OPTIONS", {**EVERY_HEADER, **preflight}),
                ("POST", {**sent, "content-encoding": "gzip", "content-length": "9"}),
                ("POST", sent),
                ("POST", {**sent, **form}),
            ):
                body = b'{"size":1}' if method == "POST" else None
                yield check_request(method, path, headers=headers, raw_body=body, raw_headers=raw_headers)


def values_read(monkeypatch: pytest.MonkeyPatch, ruleset: Ruleset) -> set[str]:
    """Return the names of all headers whose values are read on the way from bytes to answer and record."""
    read: set[str] = set()
    original = header_rules.headers_from

    def watched(*args: Any, **kwargs: Any) -> tuple[Headers, dict[str, str]]:
        headers, pseudo = original(*args, **kwargs)
        return Headers(Watched(dict(headers.lines), read), exact=headers.exact), pseudo

    monkeypatch.setattr("extauthz.request.decode.headers_from", watched)
    keys = MAKER.key_source()
    views = Views(keys=keys, profiles={"default": profile(), "keyed": KEYED}, epochs=keys, api_keys=MemoryApiKeys(ROW))
    reasons = set()
    for raw in many_requests():
        answer = pipeline.check(
            raw, proxy=Proxy("edge"), views=views, ruleset=ruleset, at=NOW, decision_id=DecisionId("d-" + "0" * 20)
        )
        assert isinstance(answer, pipeline.Answer)
        to_record(answer.decision, 0.0)
        reasons.add(answer.decision.reason.value)
    assert {"allowed", "no_credentials", "unreadable_body", "no_resource"} <= reasons, "few ways were taken"
    return read


def unnamed_values(ruleset: Ruleset, read: set[str]) -> set[str]:
    """Return what is read although neither we nor the policy say so."""
    return read - VALUES_READ - CREDENTIALS - CORRELATION - ruleset.headers_read


def test_no_value_is_read_that_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a stage read another header must name it in `VALUES_READ`, or kept answers would be wrong."""
    read = values_read(monkeypatch, RULESET)
    assert unnamed_values(RULESET, read) == set()
    assert (
        read
        >= VALUES_READ - {"content-length", "http2-settings"} | {"authorization", "x-api-key", "x-mode"} | CORRELATION
    )


def test_a_value_that_is_read_and_not_named_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a policy that does not say what it reads."""
    silent = replace(RULESET, headers_read=frozenset())
    assert unnamed_values(silent, values_read(monkeypatch, silent)) == {"x-mode"}


def test_values_that_the_reading_of_headers_itself_looks_at_are_named() -> None:
    """It runs before anything can be watched; all others it only searches for control characters and measures."""
    assert header_rules._SINGLE <= VALUES_READ | CREDENTIALS
