"""`extauthz keys`: make, list, replace and revoke API keys in the state file, also while servers run on it.

The secret is printed once, on standard output and nowhere else; what is stored cannot be turned back into it. Exit
codes: 0 done, 1 the key is not there or cannot be replaced, 2 wrong options, settings or state file.
"""

from __future__ import annotations

import json
from contextlib import closing, contextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple, NoReturn

import typer

from extauthz.cli.keytable import print_table, to_document
from extauthz.cli.options import ConfigOption  # noqa: TC001 — typer reads annotations at run time
from extauthz.cli.problems import EXIT_CONFIG, or_exit
from extauthz.cli.terminal import terminal
from extauthz.clock import Instant, SystemClock
from extauthz.config.load import load_settings
from extauthz.durations import parse_duration
from extauthz.errors import StateError
from extauthz.identity.keyformat import ID_BYTES, SALT_BYTES, SECRET_BYTES, digest_key, make_key_text, parse_key_text
from extauthz.ids import new_random_bytes
from extauthz.limits import MAX_CLAIM_STRING_BYTES
from extauthz.model.identity import Kind
from extauthz.ports import ApiKey
from extauthz.state.apikeys import (
    API_KEY_KINDS,
    StoredApiKey,
    find_stored_api_key,
    insert_api_key,
    list_api_keys,
    replace_api_key,
    revoke_api_key,
)
from extauthz.state.seal import open_seal
from extauthz.state.store import connect, open_store, told
from extauthz.state.transaction import to_query, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.state.seal import Seal

_LOCK_SECONDS: Final = 10.0
_EXIT_MISSING: Final = 1
_OVERLAP: Final = 86400.0
_KINDS: Final = ", ".join(kind.value for kind in API_KEY_KINDS)
_ONCE: Final = "This is the only time that the key is shown."

keys_app = typer.Typer(add_completion=False, no_args_is_help=True, help="API keys for callers that can do no better.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
KeyIds = Annotated[list[str], typer.Argument(metavar="KEY_ID...", help="From `keys list`; or a whole key that leaked.")]


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _kind(text: str) -> str:
    if text not in API_KEY_KINDS:
        message = f"`{text}` is none of {_KINDS}"
        raise typer.BadParameter(message)
    return text


@keys_app.command()
def create(  # noqa: PLR0913 — each is an option of its own
    *,
    subject: Annotated[str, typer.Option(help="Whom the key proves; what policies see as `identity.subject`.")],
    lifetime: Annotated[float, typer.Option(parser=_duration, metavar="DURATION", help="For example `90d`.")],
    kind: Annotated[
        str, typer.Option(parser=_kind, metavar="KIND", help=f"Of the caller: {_KINDS}.")
    ] = Kind.SERVICE.value,
    tenant: Annotated[str, typer.Option(help="Of the caller; empty for none.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="Granted; may be repeated.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="Of the caller; may be repeated.")] = None,
    network: Annotated[
        list[str] | None, typer.Option(metavar="CIDR", help="Accept it from there only; may be repeated.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once."""
    state = _state(config)
    _refuse_long_life(lifetime, state)
    _require_text("--subject", subject)
    now = SystemClock().now()
    blank = ApiKey(
        key_id="",
        salt=b"",
        digest=b"",
        subject=subject,
        kind=Kind(kind),
        tenant=tenant,
        scopes=frozenset(_words("--scope", scope)),
        roles=frozenset(_words("--role", role)),
        networks=tuple(_networks(network)),
        created_at=now,
        expires_at=Instant(now + lifetime),
    )
    text, key = _with_secret(blank)
    with _writing(state) as (connection, seal):
        insert_api_key(connection, key, seal)
    _show_new(text, key, as_json=as_json)


@keys_app.command("list")
def list_(
    *,
    config: ConfigOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are revoked or have expired.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the keys, the oldest first. When one was last used is known to about a minute."""
    state, now = _state(config), SystemClock().now()
    with _reading(state) as (connection, seal):
        keys = [key for key in list_api_keys(connection, seal) if everything or _is_alive(key, now)]
    if as_json:
        typer.echo(json.dumps([to_document(key, now) for key in keys], indent=2))
    else:
        print_table(keys, now, terminal())


@keys_app.command()
def rotate(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="From `keys list`.")],
    *,
    overlap: Annotated[
        float,
        typer.Option(
            parser=_duration, metavar="DURATION", help="How long the old key is still accepted.", show_default="1d"
        ),
    ] = _OVERLAP,
    lifetime: Annotated[
        float | None,
        typer.Option(parser=_duration, metavar="DURATION", help="Of the new key; that of the old one unless given."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key like KEY_ID in its place and print it, this once; the old one ends after the overlap."""
    state, now, wanted = _state(config), SystemClock().now(), _id_of(key_id)
    with _writing(state) as (connection, seal):
        old = find_stored_api_key(connection, wanted, seal)
        if old is None:
            _fail(f"there is no API key {wanted}; `extauthz keys list --all` shows all")
        if not old.sealed:  # Else a forged row would become a key of ours.
            _fail(f"the row of API key {wanted} was not written by us; revoke it, and make a new one")
        if not _is_alive(old, now):
            _fail(f"API key {wanted} is revoked or has expired; make a new one with `extauthz keys create`")
        life = old.key.expires_at - old.key.created_at if lifetime is None else lifetime
        _refuse_long_life(life, state)
        text, key = _with_secret(replace(old.key, created_at=now, expires_at=Instant(now + life)))
        replace_api_key(connection, wanted, key, Instant(now + overlap), seal)
    _show_new(text, key, as_json=as_json)


@keys_app.command()
def revoke(key_ids: KeyIds, *, config: ConfigOption = None) -> None:
    """Refuse keys from the next decision on, in every server on this state file, kept decisions included."""
    state, now, missing = _state(config), SystemClock().now(), []
    for key_id in [_id_of(text) for text in key_ids]:
        with _writing(state) as (connection, seal):
            known = find_stored_api_key(connection, key_id, seal) is not None
            if known:
                revoke_api_key(connection, key_id, now, seal)
        if known:
            typer.echo(f"revoked {key_id}", err=True)
        else:
            missing.append(key_id)
    if missing:
        _fail(f"there is no API key {', '.join(missing)}; `extauthz keys list --all` shows all")


class _State(NamedTuple):
    path: Path
    key_file: Path | None
    max_key_lifetime: float


def _state(config: Path | None) -> _State:
    state = or_exit(lambda: load_settings(config)).state
    if state is None or state.path is None:
        _fail("API keys live in a state file; set `state: {path: FILE}` in the settings", EXIT_CONFIG)
    return _State(state.path, state.key_file, state.max_key_lifetime)


@contextmanager
def _reading(state: _State) -> Iterator[tuple[sqlite3.Connection, Seal]]:
    """Yield a connection to the state file, and its seal; what is wrong with it ends the command."""
    try:
        key = open_store(state.path, state.key_file)
        with closing(connect(state.path, wait=_LOCK_SECONDS)) as connection, told(state.path):
            yield connection, open_seal(to_query(connection), key)
    except StateError as error:
        _fail(str(error), EXIT_CONFIG)


@contextmanager
def _writing(state: _State) -> Iterator[tuple[sqlite3.Connection, Seal]]:
    with _reading(state) as (connection, seal), transaction(connection):
        yield connection, seal


def _with_secret(key: ApiKey) -> tuple[str, ApiKey]:
    """Return the text of a fresh key, and what is stored of it."""
    fresh, salt = (
        make_key_text(new_random_bytes(ID_BYTES), new_random_bytes(SECRET_BYTES)),
        new_random_bytes(SALT_BYTES),
    )
    return fresh.whole, replace(key, key_id=fresh.key_id, salt=salt, digest=digest_key(salt, fresh))


def _show_new(text: str, key: ApiKey, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"key": text, **to_document(StoredApiKey(key=key), key.created_at)}, indent=2))
        return
    scopes = f"scopes: {' '.join(sorted(key.scopes))}" if key.scopes else "no scopes"
    typer.echo(f"API key {key.key_id} of {key.subject}, {scopes}. {_ONCE}", err=True)
    typer.echo(text)


def _is_alive(stored: StoredApiKey, now: Instant) -> bool:
    return not stored.sealed or (stored.revoked_at is None and now < stored.key.expires_at)


def _id_of(text: str) -> str:
    """Return the id in what may be a whole key."""
    presented = parse_key_text(text)
    return presented.key_id if presented is not None else text


def _refuse_long_life(lifetime: float, state: _State) -> None:
    if not 0 < lifetime <= state.max_key_lifetime:
        most = f"{state.max_key_lifetime / 86400:g}d"
        message = f"a key lives longer than nothing and at most {most} (`state.max_key_lifetime`)"
        raise typer.BadParameter(message, param_hint="--lifetime")


def _require_text(option: str, text: str) -> None:
    if not text.strip() or not text.isprintable() or len(text.encode()) > MAX_CLAIM_STRING_BYTES:
        message = f"must be 1 to {MAX_CLAIM_STRING_BYTES} bytes of text on one line"
        raise typer.BadParameter(message, param_hint=option)


def _words(option: str, words: list[str] | None) -> Iterator[str]:
    for word in words or ():
        _require_text(option, word)
        if " " in word:
            message = "give one at a time, and repeat the option"
            raise typer.BadParameter(message, param_hint=option)
        yield word


def _networks(networks: list[str] | None) -> Iterator[str]:
    for network in networks or ():
        try:
            yield str(ip_network(network))
        except ValueError as error:
            message = f"{network} is no network; write for example 192.0.2.0/24"
            raise typer.BadParameter(message, param_hint="--network") from error


def _fail(message: str, code: int = _EXIT_MISSING) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
