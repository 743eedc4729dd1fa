"""A transmitter of security events (SSF 1.0): honest, or hostile on request. It pushes and is polled."""

from __future__ import annotations

import http.client
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from extauthz.demo.loopback import Handler, LoopbackServer
from tests.simulators.tokens import NOW, TokenMaker, to_base64url

if TYPE_CHECKING:
    from collections.abc import Mapping

CAEP: Final = "https://schemas.openid.net/secevent/caep/event-type/"
RISC: Final = "https://schemas.openid.net/secevent/risc/event-type/"
SSF: Final = "https://schemas.openid.net/secevent/ssf/event-type/"

AUDIENCE: Final = "https://us.example/signals"
STREAM_ID: Final = "stream-1"
ACCESS_TOKEN: Final = "access-token-1"
AUTHORIZATION: Final = "Bearer pushed-by-us"


class Mood(StrEnum):
    """How the transmitter answers."""

    HONEST = "honest"
    ERROR = "error"
    """500."""
    TOO_OFTEN = "too_often"
    """429, with `Retry-After: 7`."""
    REDIRECT = "redirect"
    """307, to itself."""
    NEVER = "never"
    """No answer, until the mood changes."""
    DEAD = "dead"
    """Hangs up."""
    GARBAGE = "garbage"
    """A page for people, with status 200."""
    NO_SETS = "no_sets"
    """JSON without `sets`."""
    BAD_SETS = "bad_sets"
    """Something in `sets` that is no text, beside what is."""
    HUGE = "huge"
    """More than anybody reads."""
    STRANGER = "stranger"
    """401."""
    ALWAYS_MORE = "always_more"
    """Says that there is more when there is nothing."""
    DROPS_ACKS = "drops_acks"
    """Sends again whatever was acknowledged."""


@dataclass
class Pushed:
    """What the receiver answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def err(self) -> str:
        """Return the error code; empty when there is none."""
        return str(json.loads(self.body)["err"]) if self.body.startswith(b"{") else ""


@dataclass
class Stream:
    """A stream that was made."""

    configuration: dict[str, Any]
    status: str = "enabled"
    reason: str = ""
    states: list[str] = field(default_factory=list)


class Transmitter(LoopbackServer):
    """Answers metadata, keys, streams, status, verification and polls; signs and pushes events.

    Attributes:
        maker: signs its events.
        mood: how polls are answered; change it by `feel`.
        metadata_mood: how metadata are.
        metadata: members that replace those of the metadata; None removes one.
        pending: jti → event, waiting to be fetched or acknowledged.
        acked: names of events that were acknowledged.
        errors: name → what was wrong with it.
        polls: every poll, as it came.
        credentials: `Authorization` of every request to an endpoint.
        streams: by id.
        one_stream: whether a second stream is refused with 409.
        too_soon: whether verification is refused with 429.
        hold: seconds that an empty poll may be held open.
    """

    def __init__(self, *, alg: str = "ES256", hold: float = 0.0) -> None:
        super().__init__(_TransmitterHandler)
        self.maker = TokenMaker(issuer=self.url, alg=alg, audience=AUDIENCE)
        self.mood = Mood.HONEST
        self.metadata_mood = Mood.HONEST
        self.metadata: dict[str, Any] = {}
        self.pending: OrderedDict[str, Any] = OrderedDict()
        self.acked: list[str] = []
        self.errors: dict[str, dict[str, str]] = {}
        self.polls: list[dict[str, Any]] = []
        self.credentials: list[str] = []
        self.streams: dict[str, Stream] = {}
        self.one_stream = True
        self.too_soon = False
        self.hold = hold
        self.changed = threading.Condition()
        self._made = 0

    def feel(self, mood: Mood) -> None:
        """Answer polls like this from now on; whoever is kept waiting is let go."""
        with self.changed:
            self.mood = mood
            self.changed.notify_all()

    def stop(self) -> None:
        """Stop; nobody is left waiting."""
        self.hold = 0.0
        self.feel(Mood.DEAD)
        super().stop()

    def event(
        self, kind: str = CAEP + "session-revoked", subject: Any = None, *, now: float = NOW, **changes: Any
    ) -> str:
        """Return a signed event.

        Args:
            kind: its URI.
            subject: `sub_id`; a user of the issuer that is configured everywhere when None.
            now: `iat`.
            changes: `payload` is what belongs to the event, `typ` and `headers` go into the header, others are claims;
                None removes one.
        """
        self._made += 1
        payload = changes.pop("payload", {"event_timestamp": int(now)})
        typ = changes.pop("typ", "secevent+jwt")
        headers = changes.pop("headers", None)
        named = {"format": "iss_sub", "iss": "https://issuer.example", "sub": "deployer"}
        claims: dict[str, Any] = {
            **dict.fromkeys(("sub", "client_id", "exp", "scope", "kind", "tenant")),
            "jti": f"event-{self._made}",
            "sub_id": named if subject is None else subject,
            "events": {kind: payload},
            **changes,
        }
        return self.maker.mint(now=now, typ=typ, headers=headers, **claims)

    def verification(self, state: str | None, *, stream_id: str = STREAM_ID, now: float = NOW) -> str:
        """Return a verification event."""
        payload = {"state": state} if state is not None else {}
        return self.event(SSF + "verification", {"format": "opaque", "id": stream_id}, now=now, payload=payload)

    def unsigned(self, **claims: Any) -> str:
        """Return an event with `alg` none."""
        signed = self.event(**claims).split(".")
        header = to_base64url(json.dumps({"alg": "none", "typ": "secevent+jwt"}).encode())
        return f"{header}.{signed[1]}."

    def offer(self, *events: Any, name: str | None = None) -> None:
        """Have events wait to be fetched, under their `jti`, or as `name`."""
        with self.changed:
            for event in events:
                self.pending[name or jti_of(event)] = event
            self.changed.notify_all()


def jti_of(event: str) -> str:
    """Return the `jti` of an event."""
    import base64  # noqa: PLC0415 — only here

    raw = event.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))["jti"])


def push(
    address: str,
    event: str | bytes,
    *,
    stream: str = "idp",
    authorization: str | None = AUTHORIZATION,
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    path: str | None = None,
) -> Pushed:
    """Push an event to a receiver, and return its answer."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=20)
    try:
        sent = {"content-type": "application/secevent+jwt", "accept": "application/json", **(headers or {})}
        if authorization is not None:
            sent["authorization"] = authorization
        body = event.encode() if isinstance(event, str) else event
        connection.request(method, path if path is not None else f"/events/{stream}", body=body, headers=sent)
        answer = connection.getresponse()
        return Pushed(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class _TransmitterHandler(Handler):
    owner: ClassVar[Transmitter]

    def do_GET(self) -> None:  # noqa: N802 — http.server's name
        """Serve metadata and keys, and what streams there are."""
        target = urlsplit(self.path)
        if target.path == "/.well-known/ssf-configuration":
            self._metadata()
        elif target.path == "/keys":
            self.answer_json(200, self.owner.maker.jwks())
        elif self._is_admitted():
            self._about_streams(target.path, parse_qs(target.query).get("stream_id", [""])[0])

    def do_POST(self) -> None:  # noqa: N802 — http.server's name
        """Make streams, set their status, verify them, be polled."""
        document = json.loads(self.read_body() or b"{}")
        if not self._is_admitted():
            return
        match urlsplit(self.path).path:
            case "/streams":
                self._create(document)
            case "/status":
                stream = self.owner.streams[document["stream_id"]]
                stream.status, stream.reason = document["status"], document.get("reason", "")
                self.answer_json(200, document)
            case "/verify":
                self._verify(document)
            case "/poll":
                self._poll(document)
            case _:
                self.answer_json(404, {})

    def do_PATCH(self) -> None:  # noqa: N802 — http.server's name
        """Change a stream."""
        document = json.loads(self.read_body())
        if self._is_admitted():
            stream = self.owner.streams[document["stream_id"]]
            stream.configuration |= document
            if stream.configuration.get("delivery") == {"method": "urn:ietf:rfc:8936"}:
                stream.configuration["delivery"]["endpoint_url"] = f"{self.owner.url}/poll"
            self.answer_json(200, stream.configuration)

    def _is_admitted(self) -> bool:
        given = self.headers.get("authorization", "")
        self.owner.credentials.append(given)
        if given == f"Bearer {ACCESS_TOKEN}" and self.owner.mood is not Mood.STRANGER:
            return True
        self.answer_json(401, {"error": "invalid_token"})
        return False

    def _metadata(self) -> None:
        owner = self.owner
        if owner.metadata_mood is Mood.GARBAGE:
            self.answer(200, "text/html", b"<!doctype html>")
            return
        document: dict[str, Any] = {
            "issuer": owner.url,
            "spec_version": "1_0",
            "jwks_uri": f"{owner.url}/keys",
            "delivery_methods_supported": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"],
            "configuration_endpoint": f"{owner.url}/streams",
            "status_endpoint": f"{owner.url}/status",
            "verification_endpoint": f"{owner.url}/verify",
            "critical_subject_members": ["tenant"],
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
            "default_subjects": "ALL",
            **owner.metadata,
        }
        self.answer_json(200, {name: value for name, value in document.items() if value is not None})

    def _about_streams(self, path: str, stream_id: str) -> None:
        streams = self.owner.streams
        if path == "/streams" and not stream_id:
            self.answer_json(200, [stream.configuration for stream in streams.values()])
        elif stream_id not in streams:
            self.answer_json(404, {})
        elif path == "/streams":
            self.answer_json(200, streams[stream_id].configuration)
        else:
            stream = streams[stream_id]
            self.answer_json(200, {"stream_id": stream_id, "status": stream.status, "reason": stream.reason})

    def _create(self, document: dict[str, Any]) -> None:
        owner = self.owner
        if owner.streams and owner.one_stream:
            self.answer_json(409, {})
            return
        delivery = document.get("delivery") or {"method": "urn:ietf:rfc:8936"}
        if delivery["method"] == "urn:ietf:rfc:8936":
            delivery = {**delivery, "endpoint_url": f"{owner.url}/poll"}
        stream_id = f"stream-{len(owner.streams) + 1}"
        configuration = {
            "stream_id": stream_id,
            "iss": owner.url,
            "aud": [AUDIENCE],
            "events_supported": [CAEP + "session-revoked", CAEP + "credential-change"],
            "events_requested": document.get("events_requested", []),
            "events_delivered": [CAEP + "session-revoked"],
            "delivery": delivery,
            "min_verification_interval": 2,
            "inactivity_timeout": 86400,
        }
        owner.streams[stream_id] = Stream(configuration)
        self.answer_json(201, configuration)

    def _verify(self, document: dict[str, Any]) -> None:
        owner = self.owner
        if owner.too_soon:
            self._answer_with(429, {"retry-after": "7"})
            return
        owner.streams[document["stream_id"]].states.append(document.get("state", ""))
        with owner.changed:
            owner.changed.notify_all()
        self._answer_with(204, {})

    def _poll(self, document: dict[str, Any]) -> None:
        owner = self.owner
        owner.polls.append(document)
        with owner.changed:
            # First what was said, then what that ends: who sees that nothing is pending may look at what was said.
            owner.acked += document.get("ack", [])
            owner.errors |= document.get("setErrs", {})
            if owner.mood is not Mood.DROPS_ACKS:
                for name in (*document.get("ack", ()), *document.get("setErrs", {})):
                    owner.pending.pop(name, None)
            owner.changed.notify_all()
            if not document["returnImmediately"]:
                owner.changed.wait_for(lambda: owner.pending or owner.mood is not Mood.HONEST, owner.hold)
            if owner.mood is Mood.NEVER:
                owner.changed.wait_for(lambda: owner.mood is not Mood.NEVER, 30)
            mood, waiting = owner.mood, list(owner.pending.items())
        most = document.get("maxEvents", len(waiting))
        sets = {"broken": 7, **dict(waiting)} if mood is Mood.BAD_SETS else dict(waiting[:most])
        more = len(waiting) > most or mood is Mood.ALWAYS_MORE
        self._answer_in_mood(mood, {"sets": sets, "moreAvailable": more})

    def _answer_in_mood(self, mood: Mood, document: dict[str, Any]) -> None:
        match mood:
            case Mood.ERROR:
                self.answer_json(500, document)
            case Mood.TOO_OFTEN:
                self._answer_with(429, {"retry-after": "7"})
            case Mood.REDIRECT:
                self._answer_with(307, {"location": f"{self.owner.url}/poll"})
            case Mood.DEAD | Mood.NEVER:
                self.close_connection = True
            case Mood.GARBAGE:
                self.answer(200, "text/html", b"<!doctype html>")
            case Mood.NO_SETS:
                self.answer_json(200, {"moreAvailable": False})
            case Mood.HUGE:
                self.answer(200, "application/json", b" " * (8 * 1024 * 1024 + 1))
            case _:
                self.answer_json(200, document)

    def _answer_with(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
