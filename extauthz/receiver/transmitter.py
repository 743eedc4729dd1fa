"""A transmitter's endpoints for streams (SSF 1.0): make, read, change, status, verification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from extauthz.errors import FetchError, StrictJsonError
from extauthz.limits import MAX_JWKS_BYTES
from extauthz.receiver.backoff import retry_after
from extauthz.receiver.bearer import bearer_of
from extauthz.server.fetch import Ask
from extauthz.strictjson import load_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from extauthz.receiver.metadata import TransmitterMetadata
    from extauthz.server.fetch import Fetch, Reply

STATUSES: Final = ("enabled", "paused", "disabled")
"""Of a stream: sends; may keep events back and send them later; drops them."""

_MEANING: Final = {
    400: "it does not accept the request",
    401: "it does not accept the access token; check --token-file, and that the token has not expired",
    403: "the access token may not do this; transmitters ask for the scope ssf.manage (or ssf.read)",
    404: "it knows no such stream",
    409: "it has a stream for this receiver already",
    429: "it is asked too often",
}
_TOO_OFTEN: Final = 429
_ALL_SAID: Final = frozenset({200, 201, 202, 204})
_UNDERSTOOD: Final = _ALL_SAID | set(_MEANING)


class TransmitterError(FetchError):
    """A transmitter answered that it does not do what it was asked for.

    Args:
        status: of its answer.
        wait: seconds after which it may be asked again, if it said so.
    """

    def __init__(self, status: int, wait: float = 0.0) -> None:
        super().__init__(f"{_MEANING[status]} (status {status})")
        self.status = status
        self.wait = wait


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamConfiguration:
    """A stream, by its transmitter's account.

    Attributes:
        stream_id: its name there.
        issuer: of its events.
        audience: of its events.
        events_delivered: URIs of the events that it brings.
        method: of delivery: `metadata.PUSH` or `metadata.POLL`; empty when not said.
        endpoint: where events are sent to, or fetched from.
        min_verification_interval: seconds between two verification events at least.
        inactivity_timeout: seconds without a request from us after which it may be paused; 0 is never.
    """

    stream_id: str
    issuer: str
    audience: tuple[str, ...] = ()
    events_delivered: tuple[str, ...] = field(default=())
    method: str = ""
    endpoint: str = ""
    min_verification_interval: float = 0.0
    inactivity_timeout: float = 0.0


class Transmitter:
    """Asks a transmitter about its streams.

    Args:
        metadata: where its endpoints are.
        fetch: the way out.
        token_file: access token that it is shown; None for none.
        timeout: seconds for one request.
    """

    def __init__(self, metadata: TransmitterMetadata, fetch: Fetch, token_file: Path | None, timeout: float) -> None:
        self.metadata = metadata
        self._fetch = fetch
        self._token_file = token_file
        self._timeout = timeout

    def create_stream(self, wanted: Mapping[str, Any]) -> StreamConfiguration:
        """Return a new stream.

        Raises:
            TransmitterError: 409 when it has one already, and makes no other.
            FetchError: there was no answer of use.
        """
        return _stream_in(_document(self._ask("POST", self._endpoint("configuration_endpoint"), wanted)))

    def find_streams(self) -> list[StreamConfiguration]:
        """Return the streams that it has for us.

        Raises:
            FetchError: there was no answer of use.
        """
        found = _document(self._ask("GET", self._endpoint("configuration_endpoint")))
        return [_stream_in(each) for each in (found if isinstance(found, list) else [found])]

    def read_stream(self, stream_id: str) -> StreamConfiguration:
        """Return a stream.

        Raises:
            FetchError: there was no answer of use.
        """
        return _stream_in(_document(self._ask("GET", _about(self._endpoint("configuration_endpoint"), stream_id))))

    def change_stream(self, stream_id: str, changes: Mapping[str, Any]) -> StreamConfiguration:
        """Change a stream and return it.

        Raises:
            FetchError: there was no answer of use.
        """
        endpoint = self._endpoint("configuration_endpoint")
        reply = self._ask("PATCH", endpoint, {"stream_id": stream_id, **changes})
        return _stream_in(_document(reply)) if reply.body else self.read_stream(stream_id)

    def read_status(self, stream_id: str) -> tuple[str, str]:
        """Return a stream's status, one of `STATUSES`, and the reason that is given for it.

        Raises:
            FetchError: there was no answer of use.
        """
        return _status_in(_document(self._ask("GET", _about(self._endpoint("status_endpoint"), stream_id))))

    def set_status(self, stream_id: str, status: str, reason: str = "") -> None:
        """Set a stream's status.

        Raises:
            FetchError: there was no answer of use.
        """
        wanted = {"stream_id": stream_id, "status": status, **({"reason": reason} if reason else {})}
        self._ask("POST", self._endpoint("status_endpoint"), wanted)

    def ask_for_verification(self, stream_id: str, state: str | None = None) -> None:
        """Have a verification event sent, with `state` or without one.

        Raises:
            TransmitterError: 429 when it is too soon.
            FetchError: there was no answer of use.
        """
        wanted = {"stream_id": stream_id, **({"state": state} if state is not None else {})}
        self._ask("POST", self._endpoint("verification_endpoint"), wanted)

    def _endpoint(self, member: str) -> str:
        endpoint: str = getattr(self.metadata, member)
        if not endpoint:
            message = f"the transmitter's metadata have no `{member}`"
            raise FetchError(message)
        return endpoint

    def _ask(self, method: str, url: str, document: Mapping[str, Any] | None = None) -> Reply:
        reply = self._fetch(
            Ask(
                url=url,
                timeout=self._timeout,
                max_bytes=MAX_JWKS_BYTES,
                headers=bearer_of(self._token_file),
                document=document,
                method=method,
                statuses=_UNDERSTOOD,
            )
        )
        if reply.status in _ALL_SAID:
            return reply
        raise TransmitterError(reply.status, retry_after(reply.headers) if reply.status == _TOO_OFTEN else 0.0)


def _about(endpoint: str, stream_id: str) -> str:
    return f"{endpoint}{'&' if '?' in endpoint else '?'}stream_id={quote(stream_id, safe='')}"


def _document(reply: Reply) -> Any:
    try:
        return load_value(reply.body, max_bytes=MAX_JWKS_BYTES)
    except StrictJsonError:
        message = "the transmitter's answer is not strict JSON"
        raise FetchError(message) from None


def _stream_in(document: Any) -> StreamConfiguration:
    """Return the stream that a document describes.

    Raises:
        FetchError: it describes none.
    """
    found = document if isinstance(document, dict) else {}
    stream_id, issuer, delivery = found.get("stream_id"), found.get("iss"), found.get("delivery") or {}
    if not isinstance(stream_id, str) or not stream_id or not isinstance(issuer, str) or not isinstance(delivery, dict):
        message = "the transmitter's answer describes no stream: `stream_id` or `iss` is missing"
        raise FetchError(message)
    return StreamConfiguration(
        stream_id=stream_id,
        issuer=issuer,
        audience=_texts(found.get("aud")),
        events_delivered=_texts(found.get("events_delivered")),
        method=_text(delivery.get("method")),
        endpoint=_text(delivery.get("endpoint_url")),
        min_verification_interval=_seconds(found.get("min_verification_interval")),
        inactivity_timeout=_seconds(found.get("inactivity_timeout")),
    )


def _status_in(document: Any) -> tuple[str, str]:
    found = document if isinstance(document, dict) else {}
    status = found.get("status")
    if status not in STATUSES:
        message = f"the transmitter's answer has no `status` that is one of {', '.join(STATUSES)}"
        raise FetchError(message)
    return str(status), _text(found.get("reason"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(each for each in values if isinstance(each, str))


def _seconds(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else 0.0
