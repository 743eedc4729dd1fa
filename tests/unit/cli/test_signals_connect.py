"""`extauthz signals connect` and `status`: what is agreed, what is printed, and what people are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from extauthz.cli.signals import signals_app
from extauthz.config.settings import Settings
from extauthz.link.listener import LinkListener, make_run_dir
from tests.simulators.transmitter import ACCESS_TOKEN, AUDIENCE, CAEP, STREAM_ID, Mood, Stream, Transmitter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUNNER = CliRunner()
PUSH_TO = "https://signals.example.com/events/idp"


class Line:
    """The command line in a folder, with a transmitter to talk to."""

    def __init__(self, folder: Path, transmitter: Transmitter) -> None:
        self.folder = folder
        self.transmitter = transmitter
        self.token = folder / "token"
        self.token.write_text(ACCESS_TOKEN)
        self.authorization = folder / "authorization"

    def connect(self, *options: str, name: str = "idp") -> Result:
        """Run `connect`."""
        given = ["connect", self.transmitter.url, "--name", name, "--token-file", str(self.token), *options]
        return RUNNER.invoke(signals_app, given)

    def poll(self, *options: str) -> Result:
        """Run `connect --poll`."""
        return self.connect("--poll", *options)

    def push(self, *options: str, to: str = PUSH_TO) -> Result:
        """Run `connect --push`."""
        return self.connect("--push", to, "--authorization-file", str(self.authorization), *options)

    def write_settings(self, printed: str, **changes: Any) -> Path:
        """Write settings with what was printed in them, as an operator would."""
        found = yaml.safe_load(printed)
        found["signals"]["streams"][0] |= changes
        (keys := self.folder / "keys.json").write_text('{"keys": []}')
        base = {
            "policy": ["policy.yaml"],
            "issuers": [{"issuer": self.transmitter.url, "keys": {"file": str(keys)}}],
            "state": {"path": str(self.folder / "state.db")},
            "server": {"run_dir": str(self.folder / "run")},
        }
        (file := self.folder / "settings.yaml").write_text(yaml.safe_dump({**base, **found}))
        return file

    def status(self, file: Path, *options: str) -> Result:
        """Run `status`."""
        return RUNNER.invoke(signals_app, ["status", *options, "--config", str(file)], env={"COLUMNS": "300"})


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """Return the command line."""
    with Transmitter() as transmitter:
        yield Line(tmp_path, transmitter)


def test_a_polled_stream_is_made_and_its_settings_can_be_pasted(line: Line) -> None:
    """Standard output is YAML that our own settings accept; a verification event is on its way."""
    done = line.poll("--audience", AUDIENCE, "--event", "session-revoked", "--event", "account-disabled")
    assert done.exit_code == 0, done.output
    found = yaml.safe_load(done.stdout)
    assert found == {
        "signals": {
            "streams": [
                {
                    "name": "idp",
                    "issuer": line.transmitter.url,
                    "keys": {"discovery": True},
                    "audience": AUDIENCE,
                    "stream_id": STREAM_ID,
                    "poll": {"url": f"{line.transmitter.url}/poll", "token_file": str(line.token)},
                    "authority": {"issuers": [line.transmitter.url], "events": ["session-revoked"]},
                    "critical_subject_members": ["tenant"],
                    "verify_every": 300.0,
                }
            ]
        }
    }
    Settings.model_validate(yaml.safe_load(line.write_settings(done.stdout).read_text()))
    assert line.transmitter.streams[STREAM_ID].states == [""]
    assert "A stream was made." in done.stderr
    assert ACCESS_TOKEN not in done.output


def test_a_pushed_stream_gets_an_authorization_that_nobody_else_reads(line: Line) -> None:
    """Made where there is none, given to the transmitter, and printed nowhere."""
    done = line.push()
    assert done.exit_code == 0, done.output
    assert line.authorization.stat().st_mode & 0o777 == 0o600
    secret = line.authorization.read_text().strip()
    assert secret.startswith("Bearer ")
    assert len(secret) > 60
    delivery = line.transmitter.streams[STREAM_ID].configuration["delivery"]
    assert delivery == {"method": "urn:ietf:rfc:8935", "endpoint_url": PUSH_TO, "authorization_header": secret}
    assert secret not in done.output
    entry = yaml.safe_load(done.stdout)["signals"]["streams"][0]
    assert entry["push"] == {"authorization_file": str(line.authorization), "token_file": str(line.token)}
    assert entry["audience"] == AUDIENCE
    assert "signals status idp --verify" in done.stderr
    Settings.model_validate(yaml.safe_load(line.write_settings(done.stdout).read_text()))


def test_a_stream_that_is_there_is_taken_over(line: Line) -> None:
    """409 is no failure: its delivery is changed, and a newer authorization is given."""
    line.push()
    line.authorization.write_text("Bearer old\nBearer new\n")
    done = line.push(to="https://other.example.com/events/idp")
    assert done.exit_code == 0, done.output
    assert "was there already" in done.stderr
    delivery = line.transmitter.streams[STREAM_ID].configuration["delivery"]
    assert (delivery["endpoint_url"], delivery["authorization_header"]) == (
        "https://other.example.com/events/idp",
        "Bearer new",
    )


def test_which_stream_is_meant_must_be_clear(line: Line) -> None:
    """By where it delivers to, else by how, else because there is only one."""
    line.transmitter.one_stream = False
    line.push()
    line.push(to="https://second.example.com/events/idp")
    line.transmitter.one_stream = True
    assert yaml.safe_load(line.push().stdout)["signals"]["streams"][0]["stream_id"] == STREAM_ID
    unclear = line.push(to="https://third.example.com/events/idp")
    assert unclear.exit_code == 1
    assert "stream-1, stream-2" in unclear.stderr
    line.transmitter.streams.clear()
    line.transmitter.one_stream = False
    line.transmitter.streams["stream-9"] = Stream({"stream_id": "stream-9", "iss": line.transmitter.url})
    line.poll()
    line.transmitter.one_stream = True
    assert yaml.safe_load(line.poll().stdout)["signals"]["streams"][0]["stream_id"] == "stream-2"


def test_a_polled_stream_must_say_where_it_is_fetched(line: Line) -> None:
    """The transmitter knows; we do not guess."""
    line.poll()
    line.transmitter.streams[STREAM_ID].configuration["delivery"] = {"method": "urn:ietf:rfc:8936", "endpoint_url": 7}
    done = line.poll()
    assert done.exit_code == 1
    assert "where events are fetched" in done.stderr


def test_a_pushed_stream_can_become_a_polled_one(line: Line) -> None:
    """And back."""
    line.push()
    assert "poll" in yaml.safe_load(line.poll().stdout)["signals"]["streams"][0]
    assert "push" in yaml.safe_load(line.push().stdout)["signals"]["streams"][0]


def test_notes_for_people_go_to_standard_error(line: Line) -> None:
    """A stream that is not enabled, a draft; nothing of a terminal's control passes."""
    line.transmitter.metadata = {
        "spec_version": "1_0-ID2",
        "critical_subject_members": None,
        "verification_endpoint": None,
    }
    line.push()
    stream = line.transmitter.streams[STREAM_ID]
    stream.status, stream.reason = "paused", "maint\x1b[31menance"
    stream.configuration["events_delivered"] = []
    done = line.push("--issuer", "https://a.example", "--issuer", "https://b.example")
    assert "It is paused by the transmitter's account: maint" in done.stderr
    assert "\x1b" not in done.output
    assert "draft" in done.stderr
    entry = yaml.safe_load(done.stdout)["signals"]["streams"][0]
    assert entry["authority"]["issuers"] == ["https://a.example", "https://b.example"]
    assert len(entry["authority"]["events"]) > 4
    assert not {"verify_every", "critical_subject_members"} & set(entry)
    line.transmitter.metadata |= {"status_endpoint": None}
    line.transmitter.streams.clear()
    assert "first poll" not in line.poll().stderr


def test_endpoints_elsewhere_are_called_only_when_told(line: Line) -> None:
    """The access token goes nowhere that nobody named; the settings then name it too."""
    port = line.transmitter.port
    line.transmitter.metadata = {"configuration_endpoint": f"http://localhost:{port}/streams"}
    done = line.poll()
    assert done.exit_code == 1
    assert "localhost is not one that may be called" in done.stderr
    assert "--host" in done.stderr
    done = line.poll("--host", "localhost")
    assert done.exit_code == 0, done.output
    assert yaml.safe_load(done.stdout)["egress"] == {"hosts": ["localhost"]}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda line: line.transmitter.feel(Mood.STRANGER), "access token"),
        (lambda line: line.token.write_text(""), "access token"),
        (lambda line: setattr(line.transmitter, "metadata", {"issuer": "https://x.example"}), "another issuer"),
        (lambda line: setattr(line.transmitter, "metadata", {"configuration_endpoint": None}), "no `configuration"),
        (lambda line: setattr(line.transmitter, "metadata", {"delivery_methods_supported": ["x"]}), "it offers: x"),
        (lambda line: line.transmitter.stop(), "no answer"),
    ],
)
def test_a_transmitter_that_does_not_do_it_is_exit_1(line: Line, spoil: Any, told: str) -> None:
    """With what is in the way, and nothing on standard output."""
    spoil(line)
    done = line.poll()
    assert (done.exit_code, done.stdout) == (1, "")
    assert told in done.stderr


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"aud": ["https://others.example"]}, "give that as --audience"),
        ({"iss": "https://others.example"}, "would be refused"),
    ],
)
def test_a_stream_that_would_not_work_is_not_agreed_on(line: Line, changes: dict[str, Any], told: str) -> None:
    """Its events would all be refused."""
    line.push()
    line.transmitter.streams[STREAM_ID].configuration |= changes
    done = line.push("--audience", AUDIENCE)
    assert done.exit_code == 1
    assert told in done.stderr


def test_without_an_audience_the_transmitter_must_name_one(line: Line) -> None:
    """Otherwise any would do."""
    line.push()
    line.transmitter.streams[STREAM_ID].configuration |= {"aud": []}
    assert "give it as --audience" in line.push().stderr
    assert line.push("--audience", AUDIENCE).exit_code == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "exactly one of"),
        (["--poll", "--push", PUSH_TO], "exactly one of"),
        (["--push", PUSH_TO], "needs --authorization-file"),
        (["--push", "http://signals.example.com/events/idp", "--authorization-file", "x"], "over https"),
        (["--poll", "--event", "nonsense"], "'nonsense' is none of"),
        (["--poll", "--name", "Idp"], "small letters"),
        (["--push", PUSH_TO, "--authorization-file", "/nowhere/x"], "cannot be written"),
    ],
)
def test_wrong_options_are_exit_2(line: Line, options: list[str], told: str) -> None:
    """With the fix."""
    done = line.connect(*options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
    assert line.transmitter.streams == {}


def test_an_authorization_that_is_there_must_hold_one(line: Line) -> None:
    """And a path that does not look like ours is pointed out."""
    line.authorization.write_text("")
    assert line.push().exit_code == 2
    line.authorization.write_text("Bearer mine")
    done = line.push(to="https://signals.example.com/")
    assert done.exit_code == 0
    assert "takes events at /events/idp" in done.stderr


def test_settings_bring_their_way_out(line: Line) -> None:
    """Proxy and authorities are those of the server; settings that are wrong are exit 2."""
    file = line.write_settings(line.poll().stdout)
    line.transmitter.streams.clear()
    assert line.poll("--config", str(file)).exit_code == 0
    file.write_text("nonsense: 1")
    assert line.poll("--config", str(file)).exit_code == 2


def test_status_is_the_transmitters_account(line: Line) -> None:
    """Read, changed, verified; without a server it is not known when a stream was last heard."""
    file = line.write_settings(line.push().stdout)
    done = line.status(file)
    assert done.exit_code == 0, done.output
    assert "enabled" in done.stdout
    assert "No server runs here" in done.stderr
    done = line.status(file, "idp", "--set", "paused", "--reason", "maintenance", "--verify")
    assert "paused" in done.stdout
    assert "maintenance" in done.stdout
    assert line.transmitter.streams[STREAM_ID].states == [""]
    line.transmitter.streams[STREAM_ID].reason = ""
    assert "verification asked for" in line.status(file, "--verify").stdout
    assert line.status(file, "other").exit_code == 2
    assert line.status(file, "idp", "--set", "off").exit_code == 2
    assert line.status(file, "--set", "paused").exit_code == 2
    line.transmitter.feel(Mood.STRANGER)
    failed = line.status(file, "--json")
    assert failed.exit_code == 1
    assert yaml.safe_load(failed.stdout)[0]["failed"] is True


def test_status_asks_a_running_server_when_streams_were_heard(line: Line, tmp_path: Path) -> None:
    """By its keeper."""
    file = line.write_settings(line.push().stdout)
    make_run_dir(tmp_path / "run")
    told = {"streams": [{"name": "idp", "heard_at": 1_790_000_000.0}]}
    keeper = LinkListener(tmp_path / "run" / "admin.sock", lambda _: told)
    keeper.start()
    try:
        done = line.status(file)
    finally:
        keeper.stop()
    assert "2026-09-21T" in done.stdout, done.output


def test_status_of_what_is_not_agreed_says_so(line: Line) -> None:
    """A stream without id; no stream at all."""
    file = line.write_settings(line.push().stdout, stream_id="", verify_every=None)
    assert "give its `stream_id`" in line.status(file).stdout
    found = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**found, "signals": {}}))
    assert line.status(file).exit_code == 2


@pytest.mark.parametrize(
    ("shortest", "inactivity", "every"),
    [(0, 0, 300.0), (900, 0, 900.0), (0, 100, 50.0), (90, 100, 90.0), (0, 0.5, 1.0)],
)
def test_verification_is_proposed_as_the_transmitter_bears_it(
    line: Line, shortest: float, inactivity: float, every: float
) -> None:
    """Not too often, and before it would pause a stream on which we do not ask."""
    line.push()
    configuration = line.transmitter.streams[STREAM_ID].configuration
    configuration |= {"min_verification_interval": shortest, "inactivity_timeout": inactivity}
    assert yaml.safe_load(line.push().stdout)["signals"]["streams"][0]["verify_every"] == every


def test_the_events_that_are_asked_for_are_named_by_uri(line: Line) -> None:
    """As CAEP and RISC name them."""
    seen: list[Any] = []
    create = line.transmitter.streams
    line.poll("--event", "session-revoked")
    seen += create[STREAM_ID].configuration["events_requested"]
    assert seen == [CAEP + "session-revoked"]
