"""The questions that tests of freshness ask."""

from __future__ import annotations

from typing import Any

from tests.integration.facts import KEY, LIST, MAKER, PEER, SERVICE, UNDER_FADING

TOKEN = MAKER.mint(lifetime=2000)
OPAQUE = "opaque-token"
TRADE: dict[str, Any] = {"aud": "example", "txn": "t-1", "req_wl": "gateway", "scope": "trade", "typ": "txntoken+jwt"}
TRANSACTION = SERVICE.mint(lifetime=2000, **TRADE)
JSON, FORM = "application/json", "application/x-www-form-urlencoded"


def with_token(path: str = "/things/7", token: str = TOKEN, **others: Any) -> dict[str, Any]:
    """Return a question with a bearer token; `headers` are further ones."""
    headers = {"authorization": f"Bearer {token}", **others.pop("headers", {})}
    return {"path": path, "headers": headers, **others}


def sent(**headers: str) -> dict[str, Any]:
    """Return the first question with further headers; underscores are hyphens."""
    return with_token(headers={name.replace("_", "-"): value for name, value in headers.items()})


def ordered(**headers: str) -> dict[str, Any]:
    """Return a question with a body, and with these headers besides its type."""
    shown = {"content-type": JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return with_token("/orders", method="POST", raw_body=b'{"size":1}', headers=shown)


def fork(version: str) -> dict[str, Any]:
    """Return a question whose resource a header decides."""
    return with_token("/fork", headers={"x-version": version})


def keyed(key: str = KEY, **headers: str) -> dict[str, Any]:
    """Return a question with an API key."""
    return {"path": "/keyed", "headers": {"x-api-key": key, **headers}}


def told(*elements: str) -> dict[str, Any]:
    """Return a question with what a proxy in front says about the client."""
    return {"path": "/mesh", "headers": [("x-forwarded-client-cert", each) for each in elements]}


def status(index: int) -> dict[str, Any]:
    """Return a claim that names the status list."""
    return {"status_list": {"idx": index, "uri": LIST}}


THING, ORDER, MESH = with_token(), ordered(), {"path": "/mesh", "certificate": PEER.encoded}
ENTRY = with_token("/forms", method="POST", raw_body=b"size=1", headers={"content-type": FORM})
LISTED = with_token("/listed", MAKER.mint(lifetime=2000, status=status(0)))
SECURED = with_token(token=MAKER.mint(lifetime=2000, cnf={"x5t#S256": PEER.thumbprint}), certificate=PEER.encoded)
FADING = {"path": "/mesh", "certificate": UNDER_FADING.encoded}
