"""A transmitter's metadata and its endpoints for streams: what is believed, what is asked, what is made of answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.clock import SystemClock
from extauthz.errors import FetchError
from extauthz.receiver.metadata import POLL, PUSH, TransmitterMetadata, load_metadata
from extauthz.receiver.transmitter import Transmitter as Client
from extauthz.receiver.transmitter import TransmitterError
from extauthz.server.discovery import Errand
from extauthz.server.fetch import Ask, Egress, EgressRules, Reply
from tests.simulators.transmitter import ACCESS_TOKEN, AUDIENCE, CAEP, STREAM_ID, Mood, Transmitter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EGRESS = Egress(SystemClock(), EgressRules(hosts=frozenset({"127.0.0.1"})))


def metadata_of(issuer: str) -> TransmitterMetadata:
    """Return the metadata, fetched."""
    return load_metadata(issuer, Errand(EGRESS.fetch, SystemClock(), 5.0, plain_http=False))


@pytest.fixture
def transmitter() -> Iterator[Transmitter]:
    """Return a transmitter."""
    with Transmitter() as running:
        yield running


@pytest.fixture
def client(transmitter: Transmitter, tmp_path: Path) -> Client:
    """Return what asks it, with a token that it accepts."""
    (file := tmp_path / "token").write_text(ACCESS_TOKEN)
    return Client(metadata_of(transmitter.url), EGRESS.fetch, file, 5.0)


def test_metadata_say_where_everything_is(transmitter: Transmitter) -> None:
    """As the transmitter publishes them."""
    assert metadata_of(transmitter.url) == TransmitterMetadata(
        issuer=transmitter.url,
        spec_version="1_0",
        jwks_uri=f"{transmitter.url}/keys",
        delivery_methods=(PUSH, POLL),
        configuration_endpoint=f"{transmitter.url}/streams",
        status_endpoint=f"{transmitter.url}/status",
        verification_endpoint=f"{transmitter.url}/verify",
        critical_subject_members=("tenant",),
        authorization_schemes=("urn:ietf:rfc:6749",),
    )
    assert metadata_of(transmitter.url).is_final


def test_metadata_that_say_little_are_those_of_a_first_draft(transmitter: Transmitter) -> None:
    """Nothing is assumed in their favour."""
    names = ("jwks_uri", "spec_version", "delivery_methods_supported", "configuration_endpoint", "status_endpoint")
    rest = ("verification_endpoint", "critical_subject_members", "authorization_schemes")
    transmitter.metadata = dict.fromkeys((*names, *rest))
    found = metadata_of(transmitter.url)
    assert found == TransmitterMetadata(issuer=transmitter.url)
    assert found.spec_version == "1_0-ID1"
    assert not found.is_final


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"issuer": "https://other.example"}, "another issuer"),
        ({"issuer": None}, "another issuer"),
        ({"spec_version": 1}, "spec_version"),
        ({"critical_subject_members": "tenant"}, "critical_subject_members"),
        ({"critical_subject_members": [1]}, "critical_subject_members"),
        ({"critical_subject_members": ["x"] * 65}, "critical_subject_members"),
        ({"delivery_methods_supported": {}}, "delivery_methods_supported"),
        ({"jwks_uri": 7}, "jwks_uri"),
    ],
)
def test_metadata_that_are_wrong_are_not_believed(
    transmitter: Transmitter, members: dict[str, Any], problem: str
) -> None:
    """A critical member that cannot be read must not be overlooked."""
    transmitter.metadata = members
    with pytest.raises(FetchError, match=problem):
        metadata_of(transmitter.url)


@pytest.mark.parametrize("schemes", ["x", ["x", {}, {"spec_urn": 1}], {}])
def test_authorization_schemes_only_help_people(transmitter: Transmitter, schemes: Any) -> None:
    """What cannot be read of them is left out."""
    transmitter.metadata = {"authorization_schemes": schemes}
    assert metadata_of(transmitter.url).authorization_schemes == ()


class Documents:
    """A web of fixed documents."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self.documents = documents
        self.asked: list[str] = []

    def fetch(self, ask: Ask) -> Reply:
        """Return the document; there is no other."""
        self.asked.append(ask.url)
        if ask.url not in self.documents:
            message = "answered with status 404"
            raise FetchError(message)
        return Reply(json.dumps(self.documents[ask.url]).encode())

    def metadata_of(self, issuer: str) -> TransmitterMetadata:
        """Return an issuer's metadata."""
        return load_metadata(issuer, Errand(self.fetch, SystemClock(), 5.0, plain_http=False))


def test_the_well_known_part_stands_before_the_path_and_has_an_older_name() -> None:
    """Two issuers on one host are two transmitters."""
    issuer = "https://idp.example/tenants/7"
    new = "https://idp.example/.well-known/ssf-configuration/tenants/7"
    old = "https://idp.example/.well-known/risc-configuration/tenants/7"
    documents = Documents({old: {"issuer": issuer}})
    assert documents.metadata_of(issuer).issuer == issuer
    assert documents.asked == [new, old]
    with pytest.raises(FetchError, match=r"ssf-configuration/tenants/7: .*404"):
        Documents({}).metadata_of(issuer)
    for nothing in ("https://[", ""):
        with pytest.raises(FetchError):
            Documents({}).metadata_of(nothing)


@pytest.mark.parametrize("member", ["jwks_uri", "configuration_endpoint", "status_endpoint", "verification_endpoint"])
def test_metadata_do_not_lead_away_from_https(member: str) -> None:
    """Not to our own machine either."""
    issuer = "https://idp.example"
    document = {"issuer": issuer, member: "http://127.0.0.1:9464/"}
    with pytest.raises(FetchError, match="https"):
        Documents({f"{issuer}/.well-known/ssf-configuration": document}).metadata_of(issuer)


def test_a_stream_is_made_read_changed_and_found(transmitter: Transmitter, client: Client) -> None:
    """With our access token at every step."""
    wanted = {"delivery": {"method": PUSH, "endpoint_url": "https://us.example/events/idp"}, "events_requested": [CAEP]}
    made = client.create_stream(wanted)
    assert (made.stream_id, made.issuer, made.audience) == (STREAM_ID, transmitter.url, (AUDIENCE,))
    assert (made.method, made.endpoint) == (PUSH, "https://us.example/events/idp")
    assert (made.min_verification_interval, made.inactivity_timeout) == (2.0, 86400.0)
    assert made.events_delivered == (CAEP + "session-revoked",)
    assert client.read_stream(STREAM_ID) == made
    assert client.find_streams() == [made]
    changed = client.change_stream(STREAM_ID, {"delivery": {"method": POLL, "endpoint_url": "https://idp.example/p"}})
    assert (changed.method, changed.endpoint) == (POLL, "https://idp.example/p")
    assert set(transmitter.credentials) == {f"Bearer {ACCESS_TOKEN}"}
    with pytest.raises(TransmitterError, match="stream for this receiver already") as problem:
        client.create_stream(wanted)
    assert problem.value.status == 409


def test_status_and_verification(transmitter: Transmitter, client: Client) -> None:
    """Status is read and set; a verification event is asked for, unless it is too soon."""
    client.create_stream({})
    assert client.read_status(STREAM_ID) == ("enabled", "")
    client.set_status(STREAM_ID, "paused", "maintenance")
    assert client.read_status(STREAM_ID) == ("paused", "maintenance")
    client.set_status(STREAM_ID, "enabled")
    client.ask_for_verification(STREAM_ID, "our state")
    assert transmitter.streams[STREAM_ID].states == ["our state"]
    transmitter.too_soon = True
    with pytest.raises(TransmitterError) as problem:
        client.ask_for_verification(STREAM_ID, "again")
    assert (problem.value.status, problem.value.wait) == (429, 7.0)


def test_problems_name_what_to_do(transmitter: Transmitter, client: Client) -> None:
    """The transmitter's own words are not repeated."""
    with pytest.raises(TransmitterError, match="knows no such stream"):
        client.read_stream("other")
    transmitter.mood = Mood.STRANGER
    with pytest.raises(TransmitterError, match="--token-file"):
        client.find_streams()
    transmitter.mood = Mood.HONEST
    transmitter.metadata = {"status_endpoint": None}
    bare = Client(metadata_of(transmitter.url), EGRESS.fetch, None, 5.0)
    with pytest.raises(FetchError, match="no `status_endpoint`"):
        bare.read_status(STREAM_ID)
    with pytest.raises(TransmitterError, match="access token"):
        bare.find_streams()


def canned(*bodies: bytes) -> Client:
    """Return what asks a transmitter that answers with these, in order."""
    rest = list(bodies)

    def fetch(ask: Ask) -> Reply:
        _seen.append(ask)
        return Reply(rest.pop(0))

    metadata = TransmitterMetadata(
        issuer="https://idp.example", configuration_endpoint="https://idp.example/s?x=1", status_endpoint="https://s/"
    )
    return Client(metadata, fetch, None, 5.0)


_seen: list[Ask] = []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"stream_id": "s"}', b'{"stream_id": "", "iss": "i"}', b"<html>"]
)
def test_an_answer_that_describes_no_stream_is_an_error(body: bytes) -> None:
    """Whatever its status was."""
    with pytest.raises(FetchError):
        canned(body).read_stream("s")


def test_a_stream_with_strange_members_keeps_what_can_be_used() -> None:
    """Texts for lists, nothing for what is of another type; a delivery that is no object is an error."""
    strange = (
        b'{"stream_id": "s", "iss": "i", "aud": "us", "min_verification_interval": true, "inactivity_timeout": -1}'
    )
    found = canned(strange).read_stream("a b/c")
    assert (found.audience, found.min_verification_interval, found.inactivity_timeout) == (("us",), 0.0, 0.0)
    assert (found.method, found.events_delivered) == ("", ())
    assert _seen[-1].url == "https://idp.example/s?x=1&stream_id=a%20b%2Fc"
    with pytest.raises(FetchError):
        canned(b'{"stream_id": "s", "iss": "i", "delivery": ["x"]}').read_stream("s")
    with pytest.raises(FetchError, match="status"):
        canned(b'{"status": "on"}').read_status("s")
    with pytest.raises(FetchError, match="status"):
        canned(b"[]").read_status("s")


def test_a_change_that_is_only_taken_note_of_is_looked_at_again() -> None:
    """202 and 204 come without a stream; and one stream alone may be no list."""
    whole = b'{"stream_id": "s", "iss": "i"}'
    assert canned(b"", whole).change_stream("s", {}).stream_id == "s"
    assert [stream.stream_id for stream in canned(whole).find_streams()] == ["s"]
