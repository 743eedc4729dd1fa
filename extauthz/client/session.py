"""Sends requests to one resource, and does what its refusals ask for.

Each kind of repair is tried once for a request, and only if it can change something: a scope that was asked for already
is not asked for again. So no answer, however hostile, keeps a session going:

1. a DPoP proof that needs a nonce gets it;
2. a token that is missing or invalid is fetched, once;
3. a sign-in that is too weak or too old is asked for, with the scopes that are named beside it;
4. scopes that are missing are asked for, together with those named before;
5. an approval is sought, if the caller has said how;
6. what opens later is waited for, as long as the caller allows altogether.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from extauthz.client.refusal import Approval, Refusal, read_refusal
from extauthz.client.resource import Resource
from extauthz.client.system import Machine, ThisMachine
from extauthz.client.tokens import TokenRequest
from extauthz.client.transport import WebTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from extauthz.client.challenge import Challenge
    from extauthz.client.tokens import Token, TokenSource
    from extauthz.client.transport import Response, Transport

MAX_WAITS: Final = 3
"""Pauses in one request; an answer that always says "in a second" is believed this often."""

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_WAITABLE: Final = frozenset({403, 429, 503})
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_OWN_HEADERS: Final = frozenset({"authorization", "dpop", "host"})


class _Repair(Enum):
    NONCE = auto()
    TOKEN = auto()
    SIGN_IN = auto()
    SCOPES = auto()
    APPROVAL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How far a session goes for one request.

    Attributes:
        wait_up_to: seconds that it may wait altogether, for a window to open or a rate to recover; 0 waits never.
        approve: seeks an approval and returns whether the request shall be sent again; None seeks none.
    """

    wait_up_to: float = 0.0
    approve: Callable[[Approval], bool] | None = None


class Session:
    """Requests to one resource. Not thread-safe: a thread has a session of its own.

    Args:
        resource: its identifier (`https://api.example.com`). Tokens go to addresses below it and nowhere else.
        tokens: fetches tokens.
        patience: how far to go.
        transport: sends requests.
        machine: clock and chance.

    Attributes:
        last_refusal: what the last request was refused for, when it was refused in the end; else None.

    Raises:
        ValueError: the identifier is not an https URL.
    """

    def __init__(
        self,
        resource: str,
        tokens: TokenSource,
        *,
        patience: Patience | None = None,
        transport: Transport | None = None,
        machine: Machine | None = None,
    ) -> None:
        self._resource = Resource(resource)
        self._tokens = tokens
        self._patience = patience or Patience()
        self._transport = transport or WebTransport()
        self._machine = machine or ThisMachine()
        self._wanted = TokenRequest(resource=resource)
        self._token: Token | None = None
        self._started = False
        self._asked_metadata = False
        self._nonce = ""
        self.last_refusal: Refusal | None = None

    def request(
        self, method: str, target: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Response:
        """Return the answer: the upstream's, or the refusal that nothing more could be done about.

        Args:
            method: in upper case.
            target: a path of the resource's host, with its query, or an absolute URL of the resource.
            headers: without `Authorization`, `DPoP` and `Host`, which are the session's.
            body: sent again with each attempt.

        Raises:
            OutsideResourceError: the address is not one of the resource; nothing was sent.
            TransportFailedError: no complete answer came.
            ValueError: the headers hold what is the session's.
        """
        url = self._resource.locate(target)
        own = {name.lower(): value for name, value in (headers or {}).items()}
        if own.keys() & _OWN_HEADERS:
            message = "`Authorization`, `DPoP` and `Host` are set by the session"
            raise ValueError(message)
        if not self._started:
            self._started, self._token = True, self._tokens(self._wanted)
        attempt = _Attempts(self._patience.wait_up_to)
        while True:
            answer = self._send(method, url, own, body)
            refusal = read_refusal(answer, self._machine.now())
            self._nonce = answer.headers.get("dpop-nonce", "") or self._nonce
            self.last_refusal = refusal
            if refusal is None or not self._repair(refusal, method, attempt):
                return answer

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        proof = self._token.present(method, url, self._nonce, self._machine) if self._token is not None else {}
        return self._transport(method, url, {**headers, **proof}, body)

    def _repair(self, refusal: Refusal, method: str, attempt: _Attempts) -> bool:
        """Do the one thing that comes next; return whether the request shall be sent again."""
        challenge = refusal.challenge_for(self._token.scheme if self._token is not None else "bearer")
        if challenge is not None and refusal.status in {_UNAUTHORIZED, _FORBIDDEN}:
            return self._answer(challenge, refusal, attempt)
        if refusal.approval is not None:
            seek = self._patience.approve
            return seek is not None and attempt.begin(_Repair.APPROVAL) and seek(refusal.approval)
        return self._wait(refusal, method, attempt)

    def _answer(self, challenge: Challenge, refusal: Refusal, attempt: _Attempts) -> bool:
        match refusal.status, challenge.error:
            case 401, "use_dpop_nonce":
                proves = self._token is not None and self._token.sign is not None
                return proves and bool(refusal.nonce) and attempt.begin(_Repair.NONCE)
            case 401, "insufficient_user_authentication":
                return self._sign_in(challenge, attempt)
            case 403, "insufficient_scope":
                return self._widen(challenge, attempt)
            case 401, "" | "invalid_token":
                return attempt.begin(_Repair.TOKEN) and self._fetch(challenge, rejected=self._token)
            case _:
                return False

    def _sign_in(self, challenge: Challenge, attempt: _Attempts) -> bool:
        age = challenge.parameters.get("max_age", "")
        return attempt.begin(_Repair.SIGN_IN) and self._fetch(
            challenge, acr_values=challenge.words("acr_values"), max_age=int(age) if _is_number(age) else None
        )

    def _widen(self, challenge: Challenge, attempt: _Attempts) -> bool:
        if set(challenge.words("scope")) <= set(self._wanted.scopes):
            return False  # They were asked for; whoever gives out tokens does not give these.
        return attempt.begin(_Repair.SCOPES) and self._fetch(challenge)

    def _fetch(
        self,
        challenge: Challenge,
        *,
        acr_values: tuple[str, ...] = (),
        max_age: int | None = None,
        rejected: Token | None = None,
    ) -> bool:
        """Ask for a token that is good for what the challenge names as well; return whether there is a new one.

        Scopes add up over a session, and so does a way to sign in: a later token must not lose what an earlier one had.
        A sign-in is asked for anew only where a challenge says so, or each new token would mean another sign-in.
        """
        servers = self._wanted.authorization_servers or self._find_servers(challenge)
        self._wanted = replace(
            self._wanted,
            scopes=tuple(sorted({*self._wanted.scopes, *challenge.words("scope")})),
            acr_values=acr_values or self._wanted.acr_values,
            proof_algorithms=challenge.words("algs") or self._wanted.proof_algorithms,
            authorization_servers=servers,
        )
        token = self._tokens(replace(self._wanted, max_age=max_age, rejected=rejected))
        if token is None or (self._token is not None and token.value == self._token.value):
            return False
        self._token = token
        return True

    def _find_servers(self, challenge: Challenge) -> tuple[str, ...]:
        claimed = challenge.parameters.get("resource_metadata", "")
        if not claimed or self._asked_metadata:
            return ()
        self._asked_metadata = True
        return self._resource.find_authorization_servers(claimed, self._transport)

    def _wait(self, refusal: Refusal, method: str, attempt: _Attempts) -> bool:
        """Pause as long as the answer asks for, if that is allowed; return whether to try again.

        An answer that is not extauthz's may come from a server that has acted on the request already.
        """
        seconds = refusal.retry_after
        if seconds is None or refusal.status not in _WAITABLE or not (refusal.reason or method in _IDEMPOTENT):
            return False
        if not attempt.pause(seconds):
            return False
        self._machine.sleep(seconds)
        return True


class _Attempts:
    """What has been tried for one request.

    Args:
        wait_up_to: seconds that may be waited altogether.
    """

    def __init__(self, wait_up_to: float) -> None:
        self._left = wait_up_to
        self._waits = 0
        self._begun: set[_Repair] = set()

    def begin(self, repair: _Repair) -> bool:
        """Return whether this may be tried, and note that it is."""
        if repair in self._begun:
            return False
        self._begun.add(repair)
        return True

    def pause(self, seconds: float) -> bool:
        """Return whether there is time to wait so long, and take it.

        After a pause a token may have expired and a nonce grown old: both may be mended once more.
        """
        if self._left <= 0 or seconds > self._left or self._waits == MAX_WAITS:
            return False
        self._left -= seconds
        self._waits += 1
        self._begun -= {_Repair.NONCE, _Repair.TOKEN}
        return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len("999999999")
