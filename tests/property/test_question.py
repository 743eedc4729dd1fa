"""Two questions that the evaluator can tell apart never share a name.

Questions are changed in one place at a time. Ids of decisions and of correlation are no difference; a question whose
answer would never be kept, on neither side, cannot be answered wrongly from what is kept.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from extauthz import pipeline
from extauthz.audit.record import to_record
from extauthz.decision.keys import decision_key
from extauthz.gen.envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from extauthz.identity.certificate_rules import Accepted, CertificateRules, Forwarded, NameType
from extauthz.identity.rules import ApiKeyRules, Profile, TransactionRules
from extauthz.ids import DecisionId
from extauthz.model.identity import Kind
from extauthz.pipeline import Views
from extauthz.policy.compile import PolicyContext, compile_policy
from extauthz.request.bounds import Proxy
from extauthz.request.question import read_question
from tests.simulators.apikeys import DAY, MemoryApiKeys, make_key
from tests.simulators.client_certificates import Authority, element, uri
from tests.simulators.envoy_messages import check_request
from tests.simulators.profiles import issuer_rules, profile
from tests.simulators.tokens import NOW, TokenMaker

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = """
resources:
  - name: thing
    action: read
    match: {host: [api.example.com, www.example.com, "api.example.com:8443"], path: "/things/{id}", methods: [GET]}
    upgrades: [websocket]
    attributes:
      id: path.id
      colour: {from: query.colour, optional: true}
      mode: {from: header.x-mode, optional: true}
      zone: {from: context.zone, optional: true}
  - name: thing
    action: write
    match: {host: [api.example.com, www.example.com], path: "/things/{id}", methods: [POST, PUT]}
    attributes:
      id: path.id
      size: {from: body.size, type: int, optional: true}
  - {name: open, action: read, match: {host: api.example.com, path: /open, methods: [GET]}, credential: none}
  - name: mesh
    action: read
    match: {host: api.example.com, path: /mesh, methods: [GET]}
    credential: certificate
    verify: mesh
  - name: keyed
    action: read
    match: {host: api.example.com, path: /keyed, methods: [GET]}
    credential: api_key
    verify: keyed
guards:
  - {id: g1, on: thing.write, require: [{scopes: ["things:{resource.id}"]}]}
  - {id: g2, on: thing.read, when: 'resource.id == "8"', require: [{tenant: [globex]}]}
forbids:
  - {id: f1, on: [thing.read, thing.write], when: '"agent" in involved.kinds'}
  - {id: f2, on: [thing.read, thing.write], when: 'source.address == "192.0.2.9"'}
  - {id: f3, on: thing.write, when: 'resource.size == 13'}
  - {id: f4, on: thing.read, when: '"read" in transaction.scopes', observe: true}
permits:
  - {id: p1, who: anyone, may: [thing.read, thing.write, open.read, mesh.read, keyed.read]}
  - {id: p2, who: anyone, may: [thing.read], when: 'source.principal == "spiffe://example/b"'}
  - {id: p3, who: anyone, may: [thing.read], when: 'source.sni == "www.example.com"'}
  - {id: p4, who: anyone, may: [thing.read], when: 'request.host == "www.example.com"'}
"""
MAKER = TokenMaker(alg="EdDSA")
RULESET = compile_policy({"policy.yaml": POLICY.encode()}, PolicyContext())
KEYS = MAKER.key_source()
CLIENTS = Authority()
ONE, OTHER = (CLIENTS.issue(uri(f"spiffe://prod.example/{name}")) for name in ("one", "other"))
MESH = Profile(
    name="mesh",
    audience="",
    issuers={},
    certificates=CertificateRules(
        accepted=(
            Accepted(
                type=NameType.TRUST_DOMAIN, name="prod.example", issuer="spiffe://prod.example", kind=Kind.WORKLOAD
            ),
        ),
        forwarded=Forwarded.LAST,
    ),
)
TRADES: dict[str, Any] = {"aud": "example", "txn": "t-1", "req_wl": "gateway", "scope": "trade"}
TRADING = replace(profile(), transactions=TransactionRules(rules=issuer_rules(), audience="example"))
KEYED = replace(profile(), api_keys=ApiKeyRules(header="x-api-key", max_lifetime=30 * DAY))
(KEY, ROW), (BOUND, BOUND_ROW) = make_key(1), make_key(2, networks=("192.0.2.10/32",))
VIEWS = Views(
    keys=KEYS,
    profiles={"default": TRADING, "mesh": MESH, "keyed": KEYED},
    epochs=KEYS,
    api_keys=MemoryApiKeys(ROW, BOUND_ROW),
)
GOOD = f"Bearer {MAKER.mint(scope='things:7')}"
FORM = "application/x-www-form-urlencoded"

FIELDS: dict[str, tuple[Any, ...]] = {
    "method": ("GET", "POST", "PUT", "HEAD", "OPTIONS", "get"),
    "path": (
        "/things/7",
        "/things/8",
        "/things/%37",
        "/things/7/",
        "/open",
        "/nothing",
        "/mesh",
        "/things/7;a",
        "/keyed",
    ),
    "query": ("", "?colour=red", "?colour=blue", "?access_token=a", "?colour=red&colour=red", "?"),
    "host": ("api.example.com", "www.example.com", "API.example.com", "api.example.com:8443", "a b"),
    "authorization": (
        [GOOD],
        [],
        [f"Bearer {MAKER.mint(scope='')}"],
        [f"Bearer {MAKER.mint(scope='things:7', tenant='globex')}"],
        [f"Bearer {MAKER.mint(scope='things:7', act={'sub': 'bot', 'kind': 'agent'})}"],
        [f"Bearer {MAKER.mint(scope='things:7', act={'sub': 'bot'})}"],
        [GOOD[:-4] + "AAAA"],
        [GOOD, GOOD],
        ["Basic YTpi"],
    ),
    "proxy-authorization": ([], ["Basic YTpi"], ["Basic YTpi", "Basic YTpj"], ["a,b"]),
    "txn-token": (
        [],
        [MAKER.mint(typ="txntoken+jwt", **TRADES)],
        [MAKER.mint(typ="txntoken+jwt", **{**TRADES, "scope": "read"})],
        [MAKER.mint(typ="txntoken+jwt", **{**TRADES, "aud": "other"})],
        ["a", "a"],
    ),
    "mode": ([], ["x"], ["y"], ["x", "x"], ["x,x"], [""]),
    "name": ("x-other", "x-extauthz-subject", "x_extauthz_kind", "x-method-override", "cookie", "X-Api-Key", "a b"),
    "value": ("", "a", "b", "\x01", "é", "a" * 3000),
    "content-type": ([], ["application/json"], [FORM], ["text/plain"], ["application/json", "application/json"]),
    "content-encoding": ([], ["gzip"], ["identity"]),
    "content-length": ([], ["2"], ["2,3"], ["x"]),
    "upgrade": ([], ["websocket"], ["h2c"]),
    "connection": ([], ["upgrade"], ["close"]),
    "http2-settings": ([], ["AAMAAABk"]),
    "shown-host": ([], ["api.example.com"], ["www.example.com"]),
    "body": (None, b'{"size":13}', b'{"size":14}', b"access_token=a", b"{", b""),
    "text_body": (None, '{"size":13}', "a"),
    "x-api-key": ([], [KEY], [BOUND], [KEY, KEY], [make_key(3)[0]], ["x"]),
    "partial": (None, True, False),
    "source": ("192.0.2.10", "192.0.2.9", None, "/run/socket", "::ffff:192.0.2.9", "nowhere"),
    "principal": ("", "spiffe://example/b"),
    "certificate": ("", "-----BEGIN", ONE.encoded, OTHER.encoded),
    "x-forwarded-client-cert": ([], [element(ONE)], [element(OTHER)], [element(OTHER), element(ONE)], ["By"]),
    "sni": ("", "www.example.com"),
    "context": (
        {},
        {"zone": "a"},
        {"zone": "b"},
        {"extauthz.tenant": "acme"},
        {"extauthz.tenant": "globex"},
        {"extauthz.resource": "thing.write"},
        {"extauthz.typo": "a"},
    ),
    "pseudo": (
        None,
        {},
        {":method": "DELETE"},
        {":authority": "www.example.com"},
        {":path": "/x"},
        {":protocol": "websocket"},
    ),
    "raw_headers": (False, True),
    "proxy": (
        Proxy("edge"),
        Proxy("other"),
        Proxy("edge", hosts=("www.example.com",)),
        Proxy("edge", tenants=frozenset({"globex"})),
        Proxy("edge", shows_all_headers=True),
    ),
    "stream_id": ("1", "2"),
    "protocol": ("HTTP/2", "HTTP/1.1"),
}
"""The first of each is a request that is allowed; all of them together are everything a question consists of."""

LINES = (
    *("authorization", "proxy-authorization", "content-type", "content-encoding", "content-length", "upgrade"),
    *("x-forwarded-client-cert", "txn-token", "x-api-key"),
)
Place = tuple[str, int]
"""A field and which of its values."""

Change = dict[str, int]
"""Fields that are not as in the first request."""


class Judged(NamedTuple):
    """A question, its name with proxy and policy, and what the evaluator makes of it.

    Attributes:
        key: None when it has no name.
        outcome: answer and record without what is its own each time.
        kept: whether the answer could be kept.
    """

    key: tuple[object, ...] | None
    outcome: tuple[str, str]
    kept: bool


def message_of(change: Change) -> tuple[bytes, Proxy]:
    """Return a question and who asks it."""
    chosen = {name: values[change.get(name, 0)] for name, values in FIELDS.items()}
    headers = [(name, value) for name in (*LINES, "connection", "http2-settings") for value in chosen[name]]
    headers += [("x-mode", value) for value in chosen["mode"]]
    headers += [("host", value) for value in chosen["shown-host"]]
    headers.append((chosen["name"], chosen["value"]))
    raw = check_request(
        chosen["method"],
        chosen["path"] + chosen["query"],
        chosen["host"],
        headers,
        body=chosen["text_body"],
        raw_body=chosen["body"],
        **{
            name: chosen[name]
            for name in ("partial", "source", "principal", "certificate", "sni", "context", "raw_headers", "pseudo")
        },
        stream_id=chosen["stream_id"],
        protocol=chosen["protocol"],
    )
    return raw, chosen["proxy"]


@cache
def _judge(places: frozenset[Place]) -> Judged:
    raw, proxy = message_of(dict(places))
    question = read_question(raw, RULESET.headers_read)
    answer = pipeline.check(
        raw, proxy=proxy, views=VIEWS, ruleset=RULESET, at=NOW, decision_id=DecisionId("d-" + "0" * 20)
    )
    assert isinstance(answer, pipeline.Answer)
    key = decision_key(RULESET.revision, proxy, question.name) if question is not None else None
    record = to_record(answer.decision, 0.0)
    return Judged(key, (str(CheckResponse.FromString(answer.response)), str(record)), answer.reusable is not None)


def judge(change: Change) -> Judged:
    """Return what becomes of a question."""
    return _judge(frozenset((name, at) for name, at in change.items() if at))


def confused(one: Judged, other: Judged) -> bool:
    """Return whether one of two questions would be given the other's answer, and that would be wrong."""
    return one.key is not None and one.key == other.key and one.outcome != other.outcome and (one.kept or other.kept)


PLACES = [(name, at) for name, values in FIELDS.items() for at in range(len(values))]


@st.composite
def neighbours(draw: st.DrawFn) -> tuple[Change, Change]:
    """Return two changes that differ in one field; up to three others are not as in the first request either."""
    common = dict(draw(st.lists(st.sampled_from(PLACES), max_size=3)))
    field = draw(st.sampled_from(sorted(FIELDS)))
    one, other = draw(st.lists(st.integers(0, len(FIELDS[field]) - 1), min_size=2, max_size=2, unique=True))
    return common | {field: one}, common | {field: other}


@given(neighbours())
@settings(max_examples=1500, deadline=None)
def test_questions_that_can_be_told_apart_never_share_a_name(pair: tuple[Change, Change]) -> None:
    """Changed in one place, round any request."""
    one, other = (judge(change) for change in pair)
    assert not confused(one, other)


def pairs_round(*bases: Change) -> Iterator[tuple[Judged, Judged]]:
    """Yield every pair of questions that differ from a base in one and the same field only."""
    for base in bases:
        for name, values in FIELDS.items():
            judged = [judge(base | {name: at}) for at in range(len(values))]
            yield from combinations(judged, 2)


WRITE: Change = {"method": 1, "body": 2, "content-type": 1}
BASES: tuple[Change, ...] = (
    *({}, WRITE, {"path": 4, "authorization": 1}, {"mode": 1, "raw_headers": 1}, {"mode": 4}, {"pseudo": 1}),
    *({"path": 6, "certificate": 2}, {"path": 6, "x-forwarded-client-cert": 1}),
    {"path": 8, "authorization": 1, "x-api-key": 2},
    {"proxy": 4},
)


def test_every_pair_of_values_of_every_field_is_told_apart_by_name() -> None:
    """All of them round a few requests, without chance."""
    pairs = list(pairs_round(*BASES))
    assert not [pair for pair in pairs if confused(*pair)]
    assert sum(one.outcome != other.outcome and one.kept for one, other in pairs) > 100


def test_most_questions_have_a_name() -> None:
    """Naming nothing would be safe and useless."""
    judged = [each for pair in pairs_round({}) for each in pair]
    assert sum(each.key is not None for each in judged) > 0.8 * len(judged)


def test_without_any_one_member_a_name_is_shared() -> None:
    """The negative control: each member of key and name is needed, as far as anything reads what it names."""
    pairs = [(one, other) for one, other in pairs_round(*BASES) if one.key and other.key]
    needed = set()
    for path in member_paths(pairs[0][0].key):
        if any(confused(_without(one, path), _without(other, path)) for one, other in pairs):
            needed.add(path)
    # There is one policy here; a message without HTTP request is always refused.
    superfluous = {"policy", "http"}
    assert {MEMBERS[path] for path in needed} == set(MEMBERS.values()) - superfluous


MEMBERS = {
    (0,): "policy",
    (1,): "proxy",
    (2, 0): "method",
    (2, 1): "target",
    (2, 2): "host",
    (2, 3): "names of headers",
    (2, 4): "values of headers",
    (2, 5): "credentials",
    (2, 6): "body",
    (2, 7): "source",
    (2, 8): "principal",
    (2, 9): "certificate",
    (2, 10): "sni",
    (2, 11): "context",
    (2, 12): "http",
    (2, 13): "shape of headers",
}


def member_paths(key: tuple[object, ...] | None) -> list[tuple[int, ...]]:
    """Return where each member stands."""
    assert key is not None
    name = key[2]
    assert isinstance(name, tuple)
    paths: list[tuple[int, ...]] = [(0,), (1,), *((2, at) for at in range(len(name)))]
    assert paths == list(MEMBERS), "tell the test what is new"
    return paths


def _without(judged: Judged, path: tuple[int, ...]) -> Judged:
    """Return the same with one member of the key left out."""
    key: list[Any] = list(judged.key or ())
    if len(path) == 1:
        key[path[0]] = None
    else:
        key[2] = (*key[2][: path[1]], None, *key[2][path[1] + 1 :])
    return judged._replace(key=tuple(key))
