"""Settings of the state, and of the API keys that live in it."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from extauthz.config.section import Section
from extauthz.durations import Duration
from extauthz.model.carriers import ApiKeyHeader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.config.settings import Settings


class RedisSettings(Section):
    """A Redis or Valkey that several machines share: what one of them was told, all of them know.

    Each machine keeps its own state file and decides by that; this carries changes between them, and counts what is
    used up for all of them together.
    """

    url: str = Field(
        pattern=r"^rediss?://[^@]+$",
        description="`rediss://HOST:6379/0`; `redis://` is plaintext, for loopback only unless `insecure_plaintext`.",
    )
    username: str = Field(default="", description="ACL user; empty is the default user.")
    password_file: Path | None = Field(default=None, description="File with the password.")
    ca_file: Path | None = Field(default=None, description="PEM file: authorities that the server is verified by.")
    certificate: Path | None = Field(default=None, description="PEM file: our client certificate.")
    key: Path | None = Field(default=None, description="PEM file: its private key.")
    prefix: str = Field(
        default="extauthz", pattern=r"^[a-zA-Z0-9_-]{1,32}$", description="All keys begin with `{PREFIX}:`."
    )
    timeout: Duration = Field(default=0.5, gt=0, le=10, description="Time for one command.")
    insecure_plaintext: bool = Field(default=False, description="WEAKENS: allow `redis://` beyond loopback.")

    @model_validator(mode="after")
    def _sound(self) -> RedisSettings:
        for message in _redis_misfits(self):
            raise ValueError(message)
        return self


class StateSettings(Section):
    """What must outlive the process: API keys, and what has been used up. Exactly one of `path` and `memory`."""

    path: Path | None = Field(
        default=None,
        description="State file (SQLite) on a local disk; made when there is none, in a folder that is there.",
    )
    memory: bool = Field(
        default=False,
        description="Keep it in a temporary file that ends with the process, for trying things out: a restart forgets "
        "what was revoked and what was used up.",
    )
    max_spends: int = Field(
        default=1_000_000,
        ge=1000,
        description="Rows for what has been used up and may not be forgotten yet; when all are taken, whatever needs "
        "one is refused. A DPoP request takes two, for about a minute.",
    )
    max_key_lifetime: Duration = Field(
        default=365.0 * 86400,
        gt=0,
        description="Longest life of an API key; older ones are refused, whatever they say.",
    )

    key_file: Path | None = Field(
        default=None,
        description="File with the secret by which we know our own records again (32 bytes in hexadecimal); made when "
        "there is none. Default: the state file's name with `.key`. Machines that share a Redis share it.",
    )
    max_staleness: Duration = Field(
        default=5.0,
        ge=1,
        le=300,
        description="When what has been revoked may be older than this, requests are refused `state_stale`, unless the "
        "resource says `stale: proceed`.",
    )
    keep_revocations: Duration = Field(
        default=30.0 * 86400,
        ge=3600,
        description="How long a revocation is kept; set it to the longest life of any credential that is accepted.",
    )
    max_sessions: int = Field(
        default=200_000, ge=1000, description="Sessions in the live table; beyond it the least recently seen are left."
    )
    redis: RedisSettings | None = Field(default=None, description="Shared by several machines; null is one machine.")

    @model_validator(mode="after")
    def _one_place(self) -> StateSettings:
        if self.memory == (self.path is not None):
            message = "give exactly one of path, memory"
            raise ValueError(message)
        return self


class ApiKeyProfileSettings(Section):
    """Accept API keys (`extauthz keys`) for resources that say `credential: api_key`."""

    header: ApiKeyHeader = Field(default="x-api-key", description="The one header that carries the key.")
    tenants: tuple[str, ...] = Field(default=(), description="Tenants whose keys are accepted; empty means any.")


def _redis_misfits(redis: RedisSettings) -> Iterator[str]:
    parts = urlsplit(redis.url)
    try:
        sound = bool(parts.hostname) and parts.port != 0 and not parts.query and not parts.fragment
    except ValueError:
        sound = False
    if not sound or not re.fullmatch(r"(/[0-9]{0,4})?", parts.path):
        yield "`url` must be `rediss://HOST:PORT/DATABASE`"
    elif parts.scheme == "redis" and not redis.insecure_plaintext and not _is_loopback(parts.hostname or ""):
        yield "`redis://` beyond loopback is plaintext; use `rediss://`, or set `insecure_plaintext: true`"
    if (redis.certificate is None) is not (redis.key is None):
        yield "give both certificate and key, or none"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def require_state_fits(settings: Settings) -> None:
    """Refuse settings that need a state which is not there.

    Raises:
        ValueError: they do; the message says what and where.
    """
    for message in _missing(settings):
        raise ValueError(message)


def _missing(settings: Settings) -> Iterator[str]:
    state = settings.state
    for name, profile in settings.profiles.items():
        if profile.api_keys is not None and (state is None or state.path is None):
            yield f"profiles.{name}.api_keys: API keys live in the state file; set `state: {{path: FILE}}`"
