"""The settings file, section by section. Defaults and meanings stand in the fields; the reference page shows them.

Durations are text like `30s`, `5m`, `1h`, `7d`, or a number of seconds.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, model_validator

from extauthz.config.decisionpoints import DecisionPointSettings
from extauthz.config.dpop import NonceSettings, require_proofs_can_be_spent
from extauthz.config.egress import EgressSettings
from extauthz.config.evidence import require_evidence_fits
from extauthz.config.issuers import IssuerSettings
from extauthz.config.observing import require_observing_fits
from extauthz.config.plugins import PluginSettings, require_distinct_kinds
from extauthz.config.profiles import ProfileSettings
from extauthz.config.registry import RegistrySettings
from extauthz.config.section import Section
from extauthz.config.signals import SignalSettings, require_signals_fit
from extauthz.config.state import StateSettings, require_state_fits
from extauthz.durations import Duration

_POINT: Final = r"^[a-z][a-z0-9-]{0,62}$"


class TlsSettings(Section):
    """TLS of a listener. Files are read again when they change."""

    certificate: Path = Field(description="PEM file: our certificate and its chain.")
    key: Path = Field(description="PEM file: our private key.")
    client_ca: Path | None = Field(
        default=None, description="PEM file: authorities whose client certificates are required (mTLS)."
    )


class ListenerSettings(Section):
    """Where Envoy reaches us."""

    address: str = Field(description="`127.0.0.1:9191`, `[::1]:9191`, or `unix:/run/extauthz/check.sock`.")
    tls: TlsSettings | None = Field(default=None, description="Without it the listener is plaintext.")
    socket_mode: int = Field(default=0o660, description="Permissions of a Unix socket.")


class ProxySettings(Section):
    """A proxy that may ask, how it proves itself, and what it may ask about. Exactly one proof."""

    name: str = Field(min_length=1, description="Names the proxy in records and metrics.")
    token: SecretStr | None = Field(
        default=None,
        description="Pre-shared token that Envoy sends as gRPC metadata `x-extauthz-proxy-token` (`initial_metadata`).",
    )
    token_file: Path | None = Field(default=None, description="The same, read from a file.")
    certificate_names: tuple[str, ...] = Field(
        default=(), description="URI or DNS names of client certificates (mTLS listeners)."
    )
    unix_socket: bool = Field(default=False, description="Whoever can open our Unix socket is this proxy.")
    hosts: tuple[str, ...] = Field(
        default=(), description="Hosts it may ask about: exact names or `*.example.com`; empty means any."
    )
    tenants: tuple[str, ...] = Field(
        default=(), description="Tenants whose callers it may bring; empty means any, also callers without a tenant."
    )
    shows_all_headers: bool = Field(
        default=False,
        description="Say `true` when the ext_authz filter of this proxy has neither `allowed_headers` nor "
        "`disallowed_headers`: credentials and forged identity headers are then removed where they are seen, which is "
        "faster. Otherwise every name of them is removed from every request, seen or not. `true` of a proxy that hides "
        "headers lets what it hides reach the upstream.",
    )

    @model_validator(mode="after")
    def _one_proof(self) -> ProxySettings:
        proofs = [
            self.token is not None,
            self.token_file is not None,
            bool(self.certificate_names),
            self.unix_socket,
        ]
        if sum(proofs) != 1:
            message = "give exactly one of token, token_file, certificate_names, unix_socket"
            raise ValueError(message)
        return self


class RecordSettings(Section):
    """Decision records: one JSON line per decision."""

    path: Path | Literal["-"] = Field(default="-", description="File to append to, or `-` for standard output.")
    queue: int = Field(default=10_000, ge=1, description="Records that may wait to be written.")
    overflow: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="When records cannot be written: `refuse` answers 503 instead of an allow without a record; "
        "`drop` (WEAKENS) counts and goes on.",
    )
    sample: float = Field(
        default=1.0, ge=0, le=1, description="Share of the allows that policy marks `record: sampled` which is kept."
    )
    actions: Path | Literal["-"] | None = Field(
        default=None,
        description="File for what people and signals did, a JSON line each, or `-` for standard output. Default: "
        "beside `path`, with `.actions` after its name; standard output where `path` is that.",
    )

    @property
    def actions_target(self) -> Path | Literal["-"]:
        """Return where actions are recorded."""
        if self.actions is not None:
            return self.actions
        return "-" if self.path == "-" else self.path.with_name(f"{self.path.name}.actions")


class ServerSettings(Section):
    """The Check server."""

    engine: Literal["auto", "grpcio", "native"] = Field(
        default="auto",
        description="Which gRPC engine serves: `native` is fast, for Unix sockets and loopback without TLS; `grpcio` "
        "serves everywhere; `auto` takes `native` where it is installed and every listener suits it.",
    )
    threads: int = Field(
        default=16,
        ge=2,
        le=256,
        description="Decisions under way at once; on `native` those that wait for a fetch, since one thread for each "
        "listener decides the others.",
    )
    backlog: int = Field(default=256, ge=1, description="Questions that may wait for a thread; more are `overloaded`.")
    deadline: Duration = Field(
        default=0.12,
        le=60,
        description="Time for one decision, fetches included. Keep it below Envoy's timeout (200ms).",
    )
    fetch_slots: int = Field(
        default=4, ge=1, description="Decisions that may wait for one remote at a time; fewer than `threads`."
    )
    drain: Duration = Field(default=10.0, description="Time for decisions under way when told to stop.")
    workers: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Processes that decide, beside one that keeps the state. Each has an endpoint of its own: worker N "
        "listens N ports above the listener's, or on `NAME-N.sock`. 0 is one process for everything.",
    )
    run_dir: Path = Field(
        default=Path("/run/extauthz"),
        description="Folder for the sockets between our processes, and for `extauthz revoke` and its like; made, for "
        "its owner only, when there is none.",
    )

    @model_validator(mode="after")
    def _fewer_slots_than_threads(self) -> ServerSettings:
        if self.fetch_slots >= self.threads:
            message = "fetch_slots must be smaller than threads, or one slow remote stops every decision"
            raise ValueError(message)
        return self


class CacheSettings(Section):
    """Kept decisions. One is given again only while nothing that it rests on has changed, so it is the fresh one."""

    decisions: int = Field(
        default=10_000, ge=0, le=1_000_000, description="Decisions kept at most, about 8 KiB each; 0 keeps none."
    )


class TelemetrySettings(Section):
    """Logs and metrics."""

    metrics: str | None = Field(
        default="127.0.0.1:9464", description="Address of the Prometheus endpoint; null is off."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severe shown.")
    log_format: Literal["console", "json"] = Field(default="console", description="Form of the log on standard error.")


class InsecureSettings(Section):
    """Every switch that weakens the server, in one place. Each is printed loudly at start."""

    unauthenticated_proxies: bool = Field(
        default=False,
        description="Accept proxies without proof on loopback or Unix listeners, as the proxy `insecure`.",
    )
    plaintext_beyond_loopback: bool = Field(
        default=False, description="Allow a plaintext listener on an address that other machines reach."
    )


class Settings(Section):
    """Everything `extauthz serve` needs to know."""

    policy: tuple[Path, ...] = Field(min_length=1, description="Policy files, or directories of `*.yaml` files.")
    policy_shadow: tuple[Path, ...] = Field(
        default=(),
        description="A policy that only looks on: its different answers are counted and recorded; empty is none.",
    )
    mode: Literal["enforce", "observe"] = Field(
        default="enforce",
        description="`observe` (WEAKENS) lets every request of a known proxy through, and records what `enforce` would "
        "have done.",
    )
    enforced_hosts: tuple[str, ...] = Field(
        default=(),
        description="With `mode: observe`, hosts that are enforced already: exact names or `*.example.com`; on any "
        "port, unless the name says one.",
    )
    enforced_namespaces: tuple[str, ...] = Field(
        default=(), description="With `mode: observe`, namespaces of the policy whose hosts are enforced already."
    )
    listeners: tuple[ListenerSettings, ...] = Field(default=(ListenerSettings(address="127.0.0.1:9191"),), min_length=1)
    proxies: tuple[ProxySettings, ...] = Field(default=(), description="Who may ask.")
    issuers: tuple[IssuerSettings, ...] = Field(default=(), description="Who may vouch for callers.")
    profiles: dict[str, ProfileSettings] = Field(default={}, description="Verification profiles by name.")
    acr: dict[str, tuple[str, ...]] = Field(
        default={},
        description="Authentication contexts: which others also satisfy one. Levels are not ordered by themselves.",
    )
    plugins: tuple[PluginSettings, ...] = Field(default=(), description="Kinds of requirements from outside.")
    decision_points: dict[Annotated[str, Field(pattern=_POINT)], DecisionPointSettings] = Field(
        default={}, description="Other decision points that policy can ask (`external`), by name."
    )
    dpop: NonceSettings = NonceSettings()
    egress: EgressSettings = EgressSettings()
    registry: RegistrySettings = RegistrySettings()
    state: StateSettings | None = Field(
        default=None, description="Needed for what must be remembered: API keys, and what can be used up."
    )
    signals: SignalSettings = SignalSettings()
    server: ServerSettings = ServerSettings()
    cache: CacheSettings = CacheSettings()
    records: RecordSettings = RecordSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    insecure: InsecureSettings = InsecureSettings()
    policy_reload: Duration = Field(default=1.0, description="How often policy files are looked at; 0 is never.")

    @model_validator(mode="after")
    def _references(self) -> Settings:
        known = {issuer.issuer for issuer in self.issuers}
        if len(known) != len(self.issuers):
            message = "two issuers have the same `issuer`"
            raise ValueError(message)
        for name, profile in self.profiles.items():
            for issuer in profile.issuers:
                if issuer not in known:
                    message = f"profiles.{name}: issuer {issuer!r} is not configured under `issuers`"
                    raise ValueError(message)
            transactions = profile.transaction_tokens
            if transactions is not None and transactions.issuer not in known:
                message = f"profiles.{name}.transaction_tokens: its issuer is not configured under `issuers`"
                raise ValueError(message)
        require_observing_fits(self)
        require_evidence_fits(self)
        require_state_fits(self)
        require_signals_fit(self)
        require_proofs_can_be_spent(self)
        require_distinct_kinds(self.plugins)
        names = [proxy.name for proxy in self.proxies]
        if len(set(names)) != len(names):
            message = "two proxies have the same `name`"
            raise ValueError(message)
        return self
