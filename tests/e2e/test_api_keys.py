"""API keys through a real Envoy: accepted, refused in each of their ways, and ended by the command line at once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.demo.ask import Ask
from extauthz.demo.stage import Script, Stage
from extauthz.identity.keyformat import KeyText
from tests.e2e.asks import (
    OTHER_CREDENTIALS,
    assert_only_carrier,
    await_record,
    decision_of,
    eventually,
    lines_of,
)
from tests.e2e.conftest import ROOT
from tests.unit.response.auth_params import parse_challenge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.demo.ask import Answer

pytestmark = pytest.mark.envoy

POLICY = """\
resources:
  - name: report
    match: {host: api.example.com, path: "/v1/reports/{report}", methods: [GET, POST]}
    action: read
    credential: api_key
    verify: machines
  - name: order
    match: {host: api.example.com, path: "/v1/orders/{order}", methods: [GET]}
    action: read
permits:
  - id: reporters-read
    who: {kind: [service, third_party]}
    may: [report.read]
    require: [{scopes: ["reports:read"]}]
  - {id: pipelines-read, who: {kind: [ci]}, may: [order.read]}
"""


class Api:
    """The running stage, and the command line beside it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    def command(self, *arguments: str) -> str:
        """Run `extauthz keys` in a process of its own and return what it prints."""
        config = ["--config", str(self.stage.folder / "settings.yaml")]
        command = [sys.executable, "-m", "extauthz", "keys", *arguments, *config]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    def create(self, *options: str, lifetime: str = "1h") -> str:
        """Return a fresh key that may read reports."""
        return self.command(
            "create", "--subject", "nightly", "--lifetime", lifetime, "--scope", "reports:read", *options
        )

    def send(self, *keys: str, path: str = "/v1/reports/7", **others: str) -> Answer:
        """Send a GET with these `x-api-key` lines, and other headers."""
        headers = [("x-api-key", key) for key in keys]
        headers += [(name.replace("_", "-"), value) for name, value in others.items()]
        return self.stage.edge.send(Ask(path=path, headers=tuple(headers)))

    def outcome(self, *keys: str, **others: str) -> tuple[int, str]:
        """Send and return status and reason."""
        answer = self.send(*keys, **others)
        return answer.status, answer.reason


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Run issuer, upstream, server and Envoy."""
    folder: Path = tmp_path_factory.mktemp("keys")
    (folder / "policy.yaml").write_text(POLICY)

    def change(settings: dict[str, Any]) -> None:
        settings["policy"] = [str(folder / "policy.yaml")]
        settings["state"] = {"path": str(folder / "state.db")}
        settings["profiles"]["machines"] = {
            "api_keys": {"tenants": ["", "acme"]},
            "audience": "https://api.example.com",
        }

    with Stage(Script(root=ROOT, folder=folder, change_settings=change)) as running:
        yield Api(running)


@pytest.fixture(scope="module")
def key(api: Api) -> str:
    """Return a key that stays good."""
    return api.create()


def wrong_secret(text: str) -> str:
    """Return a whole key of the same id with another secret."""
    key_id = text.split("_")[1]
    return KeyText(key_id, f"xak_{key_id}_{'a' * 52}").whole


def test_a_key_is_accepted_and_reaches_the_upstream_like_every_declared_carrier(api: Api, key: str) -> None:
    """Beside who that is; what else might be a credential does not."""
    answer = api.send(key, cookie="a=b", x_vault_token="s.x", api_key="another", x_extauthz_subject="admin")
    assert (answer.status, answer.reason) == (200, "")
    assert lines_of(answer, "x-api-key") == [key]
    assert lines_of(answer, "x-extauthz-subject") == ["nightly"]
    assert lines_of(answer, "x-extauthz-kind") == ["service"]
    assert lines_of(answer, "x-extauthz-issuer") == ["urn:extauthz:api-keys"]
    for name in ("cookie", "x-vault-token", "api-key"):
        assert lines_of(answer, name) == []


def test_only_the_declared_carrier_reaches_the_upstream(api: Api, key: str) -> None:
    """Whatever else the client adds that could be taken for a credential or an identity."""
    for header in OTHER_CREDENTIALS:
        if header[0] != "x-api-key":
            lines = (("x-api-key", key), header)
            answer = api.stage.edge.send(Ask(path="/v1/reports/7?private_token=s3cret", headers=lines))
            assert_only_carrier(answer, "x-api-key", key)


def test_look_alikes_of_the_carrier_do_not_reach_the_upstream(api: Api, key: str) -> None:
    """A server that takes underscores for hyphens would see two keys."""
    answer = api.stage.edge.send(Ask(path="/v1/reports/7", headers=(("x-api-key", key), ("x_api_key", "other"))))
    assert (answer.status, lines_of(answer, "x_api_key")) == (200, [])


def test_no_key_is_told_where_it_belongs(api: Api) -> None:
    """In a challenge that names the header, and no scheme that would not help."""
    answer = api.send()
    assert (answer.status, answer.reason) == (401, "no_credentials")
    assert parse_challenge(answer.challenge) == ("ApiKey", {"realm": "extauthz", "header": "x-api-key"})


@pytest.mark.parametrize(
    ("others", "twice", "outcome"),
    [
        ({}, True, (400, "credentials_ambiguous")),
        ({"authorization": "Bearer x"}, False, (400, "credentials_ambiguous")),
        ({"authorization": "Basic eDp5"}, False, (400, "credentials_ambiguous")),
        ({"path": "/v1/reports/7?access_token=x"}, False, (400, "credentials_ambiguous")),
    ],
)
def test_two_credentials_are_refused(
    api: Api, key: str, others: dict[str, str], twice: bool, outcome: tuple[int, str]
) -> None:
    """Two keys, or a key and what else could prove a caller."""
    assert api.outcome(*([key, key] if twice else [key]), **others) == outcome


def test_a_wrong_key_is_refused(api: Api, key: str) -> None:
    """A typo by its form, a wrong secret and an unknown id alike."""
    assert api.outcome(key[:-1] + ("a" if key[-1] != "a" else "b")) == (401, "credentials_malformed")
    assert api.outcome(f"{key},{key}") == (400, "credentials_ambiguous")
    unknown = wrong_secret("xak_" + "a" * 16)
    answers = [api.send(text) for text in (wrong_secret(key), unknown)]
    bodies = [{**json.loads(answer.body), "decision_id": "", "instance": ""} for answer in answers]
    assert [answer.reason for answer in answers] == ["signature_invalid"] * 2
    assert bodies[0] == bodies[1]
    assert key.split("_")[1] not in str(bodies)


def test_a_revoked_key_is_refused_at_the_next_request(api: Api) -> None:
    """Also where its decision was kept."""
    key = api.create()
    assert [api.outcome(key) for _ in range(5)] == [(200, "")] * 5
    api.command("revoke", key.split("_")[1])
    assert api.outcome(key) == (401, "token_revoked")


def test_an_expired_key_is_refused(api: Api) -> None:
    """From the moment that its kept decision ends as well."""
    key = api.create(lifetime="2s")
    assert eventually(lambda: api.outcome(key) == (401, "token_expired"))


def test_a_key_is_accepted_from_its_networks_only(api: Api) -> None:
    """The tests come from loopback."""
    here, elsewhere = api.create("--network", "127.0.0.0/8"), api.create("--network", "192.0.2.0/24")
    assert api.outcome(here) == (200, "")
    assert api.outcome(elsewhere) == (403, "unexpected_network")
    assert api.outcome(elsewhere, x_forwarded_for="192.0.2.7") == (403, "unexpected_network")


def test_tenant_and_policy_decide_about_keys_too(api: Api) -> None:
    """A proven key is not a permission."""
    assert api.outcome(api.create("--tenant", "acme")) == (200, "")
    assert api.outcome(api.create("--tenant", "globex")) == (403, "tenant_mismatch")
    unable = api.command("create", "--subject", "weak", "--lifetime", "1h")
    assert api.outcome(unable) == (403, "insufficient_scope")


def test_a_key_is_nothing_where_tokens_are_asked_for(api: Api, key: str) -> None:
    """And does not reach the upstream beside one."""
    assert api.outcome(key, path="/v1/orders/7") == (401, "no_credentials")
    token = api.stage.issuer.mint("pipeline")
    answer = api.send(key, path="/v1/orders/7", authorization=f"Bearer {token}")
    assert (answer.status, lines_of(answer, "x-api-key")) == (200, [])


def test_no_file_holds_a_secret(api: Api, key: str) -> None:
    """Neither state nor records nor logs; the records hold the key's id."""
    told = await_record(api.stage, decision_of(api.send(key)))
    secret, key_id = key.split("_")[2], key.split("_")[1]
    files = [api.stage.records, api.stage.extauthz.log, api.stage.envoy.child.log, api.stage.envoy.access_log]
    files += list(api.stage.folder.glob("state.db*"))
    assert key_id in str(told)
    assert [file for file in files if secret.encode() in file.read_bytes()] == []
