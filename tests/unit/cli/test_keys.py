"""`extauthz keys`: the secret once, the rest for people and for programs, exit codes, and what is refused."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from extauthz.cli.keys import keys_app
from extauthz.identity.keyformat import digest_key, parse_key_text
from extauthz.state.apikeys import find_stored_api_key, note_uses
from extauthz.state.seal import open_seal
from extauthz.state.store import connect, open_store
from extauthz.state.transaction import to_query

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.state.apikeys import StoredApiKey

RUNNER = CliRunner()


class Keys:
    """The command line with settings and a state file."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state.db"
        self.config = folder / "settings.yaml"
        self.config.write_text("policy: [p.yaml]\nstate: {path: state.db, max_key_lifetime: 90d}\n")

    def run(self, *arguments: str) -> Result:
        """Run `extauthz keys`."""
        return RUNNER.invoke(keys_app, [*arguments, "--config", str(self.config)], env={"COLUMNS": "300"})

    def create(self, *options: str) -> str:
        """Return a fresh key."""
        done = self.run("create", "--subject", "nightly", "--lifetime", "30d", *options)
        assert done.exit_code == 0, done.output
        return done.stdout.strip()

    def listed(self, *options: str) -> list[dict[str, Any]]:
        """Return the list as JSON."""
        found: list[dict[str, Any]] = json.loads(self.run("list", "--json", *options).stdout)
        return found

    def stored(self, text: str) -> StoredApiKey:
        """Return what is stored of a key."""
        key = open_store(self.state)
        with closing(connect(self.state, wait=1)) as connection:
            found = find_stored_api_key(connection, id_of(text), open_seal(to_query(connection), key))
        assert found is not None
        return found


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Return a command line with an empty state."""
    return Keys(tmp_path)


def id_of(text: str) -> str:
    """Return the public part of a key."""
    presented = parse_key_text(text)
    assert presented is not None
    return presented.key_id


def test_a_key_is_printed_once_and_stored_as_a_digest(keys: Keys) -> None:
    """Standard output holds the key and nothing else, so that it can go where it belongs."""
    done = keys.run("create", "--subject", "nightly", "--lifetime", "30d")
    text = done.stdout.strip()
    presented = parse_key_text(text)
    assert presented is not None
    assert presented.body not in done.stderr
    assert "only time that the key is shown" in done.stderr
    stored = keys.stored(text).key
    assert stored.digest == digest_key(stored.salt, presented)
    kept = b"".join(file.read_bytes() for file in keys.state.parent.iterdir())
    assert presented.body.split("_")[2].encode() not in kept
    assert text not in keys.run("list", "--all").output + keys.run("list", "--all", "--json").output


def test_keys_and_salts_are_never_the_same(keys: Keys) -> None:
    """Of equal callers."""
    texts = [keys.create() for _ in range(5)]
    stored = [keys.stored(text).key for text in texts]
    assert len({key.salt for key in stored}) == len({key.digest for key in stored}) == len(set(texts)) == 5


def test_every_option_is_stored_and_listed(keys: Keys) -> None:
    """As text for people, as JSON for programs."""
    options = ["--kind", "ci", "--tenant", "acme", "--scope", "a:b", "--scope", "c", "--role", "r"]
    text = keys.create(*options, "--network", "192.0.2.0/24", "--network", "2001:db8::/32")
    (shown,) = keys.listed()
    key = keys.stored(text).key
    assert key.expires_at - key.created_at == pytest.approx(30 * 86400)
    instants = {name: shown.pop(name) for name in ("created", "expires")}
    assert all(instant.endswith("Z") for instant in instants.values())
    assert shown == {
        "key_id": id_of(text),
        "status": "active",
        "subject": "nightly",
        "kind": "ci",
        "tenant": "acme",
        "scopes": ["a:b", "c"],
        "roles": ["r"],
        "networks": ["192.0.2.0/24", "2001:db8::/32"],
        "revoked": None,
        "replaced_by": None,
        "last_used": None,
    }
    line = keys.run("list").stdout.splitlines()[1].split()
    assert line[:6] == [id_of(text), "active", "nightly", "ci", "acme", "a:b"]


def test_json_of_a_new_key_holds_it(keys: Keys) -> None:
    """One document, with the id beside it."""
    document = json.loads(keys.run("create", "--subject", "n", "--lifetime", "1d", "--json").stdout)
    assert id_of(document["key"]) == document["key_id"]


def test_the_list_shows_what_is_accepted_and_all_on_request(keys: Keys) -> None:
    """With what became of each, and when it was last used."""
    kept, revoked, replaced = keys.create(), keys.create(), keys.create()
    keys.run("revoke", id_of(revoked))
    keys.run("rotate", id_of(replaced), "--overlap", "0s")
    with closing(connect(keys.state, wait=1)) as connection:
        note_uses(connection, {id_of(kept): keys.stored(kept).key.created_at})
    assert [key["status"] for key in keys.listed()] == ["active", "active"]
    status = {key["key_id"]: key["status"] for key in keys.listed("--all")}
    assert (status[id_of(revoked)], status[id_of(replaced)]) == ("revoked", "expired")
    assert {key["key_id"]: key["last_used"] for key in keys.listed()}[id_of(kept)] is not None


def test_a_rotated_key_has_a_successor_like_it(keys: Keys) -> None:
    """Of the same rights and life; the old one goes on for the overlap."""
    old = keys.create("--scope", "a", "--network", "192.0.2.0/24")
    new = keys.run("rotate", id_of(old), "--overlap", "2d").stdout.strip()
    before, after = keys.stored(old), keys.stored(new).key
    assert (after.subject, after.scopes, after.networks) == ("nightly", frozenset({"a"}), ("192.0.2.0/24",))
    assert after.expires_at - after.created_at == pytest.approx(30 * 86400)
    assert before.key.expires_at - after.created_at == pytest.approx(2 * 86400, abs=1)
    assert before.replaced_by == after.key_id
    assert {key["status"] for key in keys.listed()} == {"active", "replaced"}
    short = keys.run("rotate", id_of(new), "--lifetime", "1d").stdout.strip()
    assert keys.stored(short).key.expires_at - keys.stored(short).key.created_at == pytest.approx(86400)


def test_what_has_ended_is_not_rotated(keys: Keys) -> None:
    """Somebody meant it to end."""
    text = keys.create()
    keys.run("revoke", id_of(text))
    done = keys.run("rotate", id_of(text))
    assert (done.exit_code, done.stdout) == (1, "")
    assert "make a new one" in done.stderr
    missing = keys.run("rotate", "nobody")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "there is no API key nobody" in missing.stderr


def test_revoking_takes_ids_and_whole_keys(keys: Keys) -> None:
    """Those that are there are revoked although others are not; twice is no fault."""
    one, other = keys.create(), keys.create()
    done = keys.run("revoke", id_of(one), "nobody", other)
    assert done.exit_code == 1
    assert "there is no API key nobody" in done.stderr
    assert [keys.stored(text).key.revoked for text in (one, other)] == [True, True]
    first = keys.stored(one).revoked_at
    assert keys.run("revoke", id_of(one)).exit_code == 0
    assert keys.stored(one).revoked_at == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lifetime", "91d"], "at most 90d"),
        (["--lifetime", "0s"], "longer than nothing"),
        (["--lifetime", "soon"], "not a duration"),
        (["--kind", "user"], "is none of service"),
        (["--kind", "anonymous"], "is none of service"),
        (["--network", "192.0.2.1/24"], "is no network"),
        (["--network", "everywhere"], "is no network"),
        (["--scope", "a b"], "one at a time"),
        (["--role", ""], "text on one line"),
        (["--subject", " "], "text on one line"),
        (["--subject", "a\nb"], "text on one line"),
        (["--subject", "a" * 3000], "text on one line"),
    ],
)
def test_wrong_options_make_no_key(keys: Keys, options: list[str], message: str) -> None:
    """Exit code 2, as for every wrong command line."""
    done = keys.run("create", "--subject", "nightly", "--lifetime", "30d", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert keys.listed("--all") == []


def test_without_a_state_file_the_fix_is_named(keys: Keys) -> None:
    """Also for a state in memory, which ends with its process."""
    for state in ("", "state: {memory: true}\n"):
        keys.config.write_text(f"policy: [p.yaml]\n{state}")
        done = keys.run("list")
        assert done.exit_code == 2
        assert "set `state: {path: FILE}`" in done.stderr


def test_a_state_file_that_cannot_be_used_ends_with_2(keys: Keys) -> None:
    """With its name and the fix."""
    keys.create()
    keys.state.chmod(0o606)
    for command in (["list"], ["create", "--subject", "n", "--lifetime", "1d"], ["revoke", "x"]):
        done = keys.run(*command)
        assert (done.exit_code, done.stdout) == (2, "")
        assert f"{keys.state}: everybody on this machine may open it" in done.stderr


def test_a_forged_key_is_listed_as_such_and_never_becomes_one_of_ours(keys: Keys) -> None:
    """It cannot be replaced, which would seal what was forged; it can be revoked."""
    wanted = id_of(keys.create())
    with closing(connect(keys.state, wait=1)) as connection:
        connection.execute("UPDATE api_keys SET subject = 'root'")
    assert [(key["key_id"], key["status"]) for key in keys.listed()] == [(wanted, "forged")]
    assert "forged" in keys.run("list").stdout
    done = keys.run("rotate", wanted)
    assert done.exit_code == 1
    assert "was not written by us; revoke it, and make a new one" in done.stderr
    assert len(keys.listed("--all")) == 1
    assert keys.run("revoke", wanted).exit_code == 0
    assert keys.listed()[0]["status"] == "forged"
