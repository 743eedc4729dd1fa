"""Protected-resource metadata as a client may use it (RFC 9728 sections 3.1 and 3.3), and what a resource is."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from extauthz import client
from extauthz.client import Response, Session
from extauthz.client.errors import TransportFailedError
from extauthz.client.resource import Resource
from extauthz.config.metadata import to_metadata_url
from tests.simulators.api import API, OK, Api, Issuer, Sent, Watch, refuse

URL = f"{API}/.well-known/oauth-protected-resource"
SERVER = "https://issuer.example.com"
DOCUMENT = {"resource": API, "authorization_servers": [SERVER]}


def learned(document: Any, claimed: str = URL, *, status: int = 200, resource: str = API) -> tuple[list[Sent], object]:
    """Return what was sent, and the servers that the token source was told, when a challenge points to a document."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()

    def answer(sent: Sent) -> Response:
        if "well-known" in sent.url:
            return Response(status=status, body=body)
        if sent.headers.get("authorization") == "Bearer t1":
            return refuse(401, f'Bearer error="invalid_token", resource_metadata="{claimed}"')
        return OK

    api, issuer = Api(answer), Issuer()
    assert Session(resource, issuer, transport=api, machine=Watch()).request("GET", resource) == OK
    return api.sent, issuer.asked[1].authorization_servers


def test_the_metadata_of_the_resource_counts() -> None:
    """It is read once, without a token, and the source is told who gives out tokens."""
    sent, servers = learned(DOCUMENT)
    assert servers == (SERVER,)
    (read,) = [each for each in sent if each.url == URL]
    assert "authorization" not in read.headers
    assert read.method == "GET"


@pytest.mark.parametrize(
    "claimed",
    [
        "https://evil.example/.well-known/oauth-protected-resource",
        "http://api.example.com/.well-known/oauth-protected-resource",
        f"{API}/elsewhere",
        f"{URL}/other",
        f"{API}.evil.example/.well-known/oauth-protected-resource",
        "not a URL",
    ],
)
def test_other_addresses_are_not_asked(claimed: str) -> None:
    """A challenge that points elsewhere leads nowhere; the token is fetched all the same."""
    sent, servers = learned(DOCUMENT, claimed)
    assert servers == ()
    assert {each.url for each in sent} == {API}


@pytest.mark.parametrize(
    "document",
    [
        {**DOCUMENT, "resource": "https://evil.example"},
        {**DOCUMENT, "resource": f"{API}/"},
        {"authorization_servers": [SERVER]},
        {"resource": API},
        {**DOCUMENT, "authorization_servers": SERVER},
        {**DOCUMENT, "authorization_servers": [7, "http://issuer.example.com", "https://", "https://a b", "http://[x"]},
        [DOCUMENT],
        b"{",
        b"[" * 60_000,
        b" " * 70_000 + json.dumps(DOCUMENT).encode(),
    ],
)
def test_a_document_about_something_else_does_not_count(document: Any) -> None:
    """`resource` must be the identifier, exactly, and servers must be https."""
    assert learned(document)[1] == ()


def test_a_missing_document_does_not_count() -> None:
    """Nor one that comes with another status."""
    assert learned(DOCUMENT, status=404)[1] == ()
    assert learned(DOCUMENT, status=302)[1] == ()


def test_a_document_that_cannot_be_had_is_asked_for_once() -> None:
    """The next refusal does not ask again."""

    def answer(sent: Sent) -> Response:
        if "well-known" in sent.url:
            message = "gone"
            raise TransportFailedError(message)
        return refuse(401, f'Bearer error="invalid_token", resource_metadata="{URL}"')

    api = Api(answer)
    talk = Session(API, Issuer(), transport=api, machine=Watch())
    talk.request("GET", "/")
    talk.request("GET", "/")
    assert [sent.url for sent in api.sent].count(URL) == 1


def test_servers_on_this_machine_count_for_resources_on_it() -> None:
    """For development; never for others."""
    here = "http://127.0.0.1:8080"
    document = {"resource": here, "authorization_servers": ["http://localhost:9000"]}
    assert learned(document, f"{here}/.well-known/oauth-protected-resource", resource=here)[1] == (
        "http://localhost:9000",
    )
    assert learned({**DOCUMENT, "authorization_servers": ["http://localhost:9000"]})[1] == ()


@pytest.mark.parametrize(
    "resource", [API, f"{API}/", f"{API}/mcp", f"{API}/mcp/", f"{API}:8443/a/b", "http://[::1]:80"]
)
def test_client_and_server_agree_where_the_metadata_is(resource: str) -> None:
    """Two implementations of one section."""
    assert Resource(resource).metadata_url == to_metadata_url(resource)


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "api.example.com",
        "http://api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://user@api.example.com",
        "https://api.example.com?x",
        "https://api.example.com?",
        "https://api.example.com#x",
        "https://api.example.com/../x",
        "https://api.example.com/a b",
        "https://api.example.com:port",
    ],
)
def test_what_is_no_resource_is_refused(resource: str) -> None:
    """Tokens do not go anywhere in the clear, or nobody knows where."""
    with pytest.raises(ValueError, match=r"resource|port|Port"):
        Session(resource, Issuer())


def test_the_client_needs_urllib3_and_nothing_else() -> None:
    """Neither a module of the server's nor another library."""
    folder = Path(client.__file__).parent
    found = set()
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module or "")
    own = {name for name in found if name.startswith("extauthz")}
    assert all(name.startswith("extauthz.client") for name in own)
    assert {name.split(".")[0] for name in found - own} - sys.stdlib_module_names == {"urllib3"}
