"""What the client raises. A refusal is no error: it is an answer."""

from __future__ import annotations


class ClientError(Exception):
    """Anything that the client raises by itself."""


class OutsideResourceError(ClientError):
    """The request is not for the session's resource, so it must not carry its token. Nothing was sent."""


class TransportFailedError(ClientError):
    """No complete answer came. Whether the request arrived is not known."""
