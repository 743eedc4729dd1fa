"""A client for APIs behind extauthz: it reads refusals and does what they ask for, as far as its caller lets it.

    session = Session("https://api.example.com", fetch_token, patience=Patience(wait_up_to=600))
    answer = session.request("POST", "/v1/projects/web/deployments", body=b"{}")

It needs nothing but urllib3, and knows nothing of the server: whatever it acts on stands in standard headers and in
problem bodies (RFC 6750, 9449, 9457, 9470, 9728).
"""

from extauthz.client.challenge import Challenge, parse_challenges
from extauthz.client.errors import ClientError, OutsideResourceError, TransportFailedError
from extauthz.client.refusal import Approval, Refusal
from extauthz.client.session import Patience, Session
from extauthz.client.tokens import Token, TokenRequest, TokenSource
from extauthz.client.transport import Response, Transport, WebTransport

__all__ = [
    "Approval",
    "Challenge",
    "ClientError",
    "OutsideResourceError",
    "Patience",
    "Refusal",
    "Response",
    "Session",
    "Token",
    "TokenRequest",
    "TokenSource",
    "Transport",
    "TransportFailedError",
    "WebTransport",
    "parse_challenges",
]
