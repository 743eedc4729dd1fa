"""`extauthz signals connect|status`: agree on a stream with a transmitter, and how streams fare by its account.

Standard output holds the settings to paste and nothing else. Exit codes: 0 done, 1 the transmitter does not do it,
2 wrong options or settings.
"""

from __future__ import annotations

import os
import re
from pathlib import Path  # noqa: TC003 — typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from extauthz.cli.keeperlink import EXIT_NO_KEEPER, ask, find_keeper, leave, settings_or_exit
from extauthz.cli.options import ConfigOption  # noqa: TC001 — typer reads annotations at run time
from extauthz.cli.problems import EXIT_CONFIG, or_exit
from extauthz.cli.statetable import moment, printable, show, text
from extauthz.clock import SystemClock
from extauthz.config.load import load_settings
from extauthz.errors import FetchError
from extauthz.ids import new_random_bytes
from extauthz.receiver.authorization import AuthorizationFile
from extauthz.receiver.connect import Wish, agree, settings_of, to_yaml
from extauthz.receiver.metadata import TransmitterMetadata, load_metadata
from extauthz.receiver.transmitter import STATUSES, Transmitter
from extauthz.server.discovery import Errand
from extauthz.server.egress import egress_of, hosts_of
from extauthz.server.fetch import Egress, EgressRules, Fetch
from extauthz.signals.effects import READERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from extauthz.config.settings import Settings
    from extauthz.config.signals import StreamSettings

CONNECT_EXAMPLES: Final = """Examples:

    extauthz signals connect https://idp.example --name idp --poll --token-file idp.token >> settings.yaml

    extauthz signals connect https://idp.example --name idp --push https://signals.example.com/events/idp
    --authorization-file idp.authorization --token-file idp.token
"""

_SECONDS: Final = 15.0
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_URIS: Final = {kind: uri for uri, (kind, _) in READERS.items()}
_USUAL: Final = (
    "session-revoked",
    "credential-change",
    "device-compliance-change",
    "risk-level-change",
    "account-disabled",
    "account-enabled",
    "account-purged",
    "credential-compromise",
)
_DRAFT: Final = (
    "The transmitter follows a draft of the specification ({version}); its events may be refused, since drafts name "
    "subjects in another place."
)


def connect(  # noqa: PLR0913 — one for each option
    url: Annotated[str, typer.Argument(metavar="URL", help="The transmitter's issuer, exactly as its events name it.")],
    *,
    name: Annotated[str, typer.Option(help="Ours for the stream.")],
    push: Annotated[
        str | None, typer.Option(metavar="URL", help="Events are sent there: our receiver's address from outside.")
    ] = None,
    poll: Annotated[bool, typer.Option("--poll", help="Events are fetched.")] = False,
    audience: Annotated[
        str, typer.Option(help="The `aud` that its events must name; else the transmitter's word.")
    ] = "",
    token_file: Annotated[
        Path | None, typer.Option(help="File with an access token for the transmitter (scope ssf.manage).")
    ] = None,
    authorization_file: Annotated[
        Path | None,
        typer.Option(help="With --push: file with the `Authorization` that events are sent with; made when missing."),
    ] = None,
    issuer: Annotated[
        list[str] | None, typer.Option(help="About whose callers it may report; may be repeated; else its own.")
    ] = None,
    event: Annotated[
        list[str] | None, typer.Option(metavar="KIND", help="For example `session-revoked`; may be repeated.")
    ] = None,
    host: Annotated[
        list[str] | None, typer.Option(help="May be called as well; for endpoints elsewhere; may be repeated.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Make a stream with a transmitter, or take over the one that is there, and print the settings for it."""
    events = _events(event)
    _require_options(name=name, push=push, poll=poll)
    wish = Wish(
        name=name,
        audience=audience,
        events=events,
        issuers=tuple(issuer or [url]),
        push_to=push,
        authorization=_authorization(authorization_file) if push is not None else "",
        authorization_file=authorization_file.absolute() if authorization_file is not None else None,
        token_file=token_file.absolute() if token_file is not None else None,
    )
    fetch = _way_out(config, (*(host or ()), *hosts_of(url)))
    try:
        transmitter = Transmitter(_metadata_of(url, fetch), fetch, token_file, _SECONDS)
        connected = agree(transmitter, wish)
        status, why = _status_of(transmitter, connected.stream.stream_id)
        asked = poll and _ask_for_verification(transmitter, connected.stream.stream_id)
    except FetchError as error:
        problem = str(error).replace("name it in egress.hosts", "name it with --host")
        leave(f"{url}: {printable(problem)}", EXIT_NO_KEEPER)
    metadata = transmitter.metadata
    notes = [f"Stream {name!r} of {url}; merge into the settings, then restart the server."]
    notes.append("max_silence: 15m would refuse its issuers' callers when nothing was heard for longer.")
    typer.echo(to_yaml(settings_of(connected, metadata, wish), [printable(note) for note in notes]), nl=False)
    _say("The stream was there already and now delivers as asked." if connected.was_there else "A stream was made.")
    if status and status != "enabled":
        _say(f"It is {status} by the transmitter's account{f': {why}' if why else ''}; nothing is reported on it.")
    if not metadata.is_final:
        _say(_DRAFT.format(version=metadata.spec_version))
    if asked:
        _say("A verification event was asked for; the first poll brings it, and `extauthz signals tail` shows it.")
    elif push is not None:
        _say(f"When the server runs with these settings: `extauthz signals status {name} --verify`.")


def status(  # noqa: PLR0913 — one for each option
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Of a stream; else all of them.")] = None,
    *,
    verify: Annotated[bool, typer.Option("--verify", help="Have the transmitter send a verification event.")] = False,
    change: Annotated[
        str | None, typer.Option("--set", metavar="STATUS", help=f"Ask for another: {', '.join(STATUSES)}.")
    ] = None,
    reason: Annotated[str, typer.Option(help="With --set: why.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show how streams fare: by the transmitter's account, and when something was last heard from each."""
    settings = settings_or_exit(config)
    if change is not None and change not in STATUSES:
        leave(f"--set: {change!r} is none of {', '.join(STATUSES)}", EXIT_CONFIG)
    if change is not None and name is None:
        leave("--set needs the name of a stream", EXIT_CONFIG)
    streams = [stream for stream in settings.signals.streams if name in {None, stream.name}]
    if not streams:
        leave(f"no stream {name!r} is configured" if name is not None else "no stream is configured", EXIT_CONFIG)
    heard = _heard(settings)
    fetch = egress_of(settings, SystemClock()).fetch
    rows: list[dict[str, object]] = []
    for stream in streams:
        row: dict[str, object] = {"name": stream.name, "delivery": "poll" if stream.push is None else "push"}
        row |= _transmitters_account(stream, fetch, change=change, reason=reason, verify=verify)
        rows.append({**row, **heard.get(stream.name, {})})
    columns = (
        ("stream", text("name")),
        ("delivery", text("delivery")),
        ("transmitter says", text("status")),
        ("last heard", moment("heard_at")),
        ("", text("note")),
    )
    show(rows, columns, as_json=as_json, nothing="")
    if any(row["failed"] for row in rows):
        raise typer.Exit(EXIT_NO_KEEPER)


def _transmitters_account(
    stream: StreamSettings, fetch: Fetch, *, change: str | None, reason: str, verify: bool
) -> dict[str, object]:
    delivery = stream.push or stream.poll
    token_file = delivery.token_file if delivery is not None else None
    try:
        if not stream.stream_id:
            return {"status": "", "note": "give its `stream_id` in the settings", "failed": False}
        transmitter = Transmitter(_metadata_of(stream.issuer, fetch), fetch, token_file, _SECONDS)
        if change is not None:
            transmitter.set_status(stream.stream_id, change, reason)
        if verify:
            transmitter.ask_for_verification(stream.stream_id)
        found, why = transmitter.read_status(stream.stream_id)
    except FetchError as error:
        return {"status": "?", "note": str(error), "failed": True}
    return {"status": found, "note": why or ("verification asked for" if verify else ""), "failed": False}


def _heard(settings: Settings) -> Mapping[str, Mapping[str, object]]:
    """Return what the keeper of a running server knows about each stream; nothing when none runs."""
    if not find_keeper(settings):
        _say("No server runs here, so it is not known when streams were last heard.")
        return {}
    streams = ask(settings, {"op": "status"}).get("streams", [])
    return {str(each.get("name")): {"heard_at": each.get("heard_at")} for each in streams}


def _events(kinds: list[str] | None) -> Mapping[str, str]:
    for kind in kinds or ():
        if kind not in _URIS:
            leave(f"--event: {kind!r} is none of {', '.join(sorted(_URIS))}", EXIT_CONFIG)
    return {kind: _URIS[kind] for kind in (kinds or _USUAL)}


def _require_options(*, name: str, push: str | None, poll: bool) -> None:
    if _NAME.fullmatch(name) is None:
        leave("--name: write small letters, digits and hyphens, a letter first", EXIT_CONFIG)
    if (push is None) is not poll:
        leave("give exactly one of --push URL, --poll", EXIT_CONFIG)
    if push is None:
        return
    target = urlsplit(push)
    if target.scheme != "https" and target.hostname not in {"localhost", "127.0.0.1", "::1"}:
        leave("--push: events are sent over https", EXIT_CONFIG)
    if not target.path.endswith(f"/events/{name}"):
        _say(f"--push: our receiver takes events at /events/{name}; see that {target.path or '/'} leads there.")


def _authorization(file: Path | None) -> str:
    """Return what events are to be sent with; made, for its owner only, where there is no such file."""
    if file is None:
        leave("--push needs --authorization-file", EXIT_CONFIG)
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        leave(f"{file}: cannot be written ({error.strerror})", EXIT_CONFIG)
    else:
        with os.fdopen(made, "w") as opened:
            opened.write(f"Bearer {new_random_bytes(32).hex()}\n")
        _say(f"{file} was made; the receiver reads it, nobody else should.")
    try:
        # The last line is the newest, while an older one is still accepted.
        return AuthorizationFile(file).read()[-1]
    except FetchError as error:
        leave(str(error), EXIT_CONFIG)


def _way_out(config: Path | None, hosts: Iterable[str]) -> Fetch:
    """Return what fetches from these hosts; through the settings' proxy and authorities, where there are settings."""
    clock = SystemClock()
    if config is None:
        return Egress(clock, EgressRules(hosts=frozenset(hosts))).fetch
    settings = or_exit(lambda: load_settings(config))
    return or_exit(lambda: egress_of(settings, clock, frozenset(hosts))).fetch


def _metadata_of(issuer: str, fetch: Fetch) -> TransmitterMetadata:
    return load_metadata(issuer, Errand(fetch, SystemClock(), _SECONDS, plain_http=False))


def _status_of(transmitter: Transmitter, stream_id: str) -> tuple[str, str]:
    return transmitter.read_status(stream_id) if transmitter.metadata.status_endpoint else ("", "")


def _ask_for_verification(transmitter: Transmitter, stream_id: str) -> bool:
    if not transmitter.metadata.verification_endpoint:
        return False
    transmitter.ask_for_verification(stream_id)
    return True


def _say(message: str) -> None:
    typer.echo(printable(message), err=True)
