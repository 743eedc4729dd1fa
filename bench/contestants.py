"""Who is measured: how each server is started, and which questions it is asked."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.configuration import PROXY_TOKEN, write_settings
from bench.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.corpus import Corpus
    from bench.programs import Programs

CACHED: Final = "cached"
COLD: Final = "cold"
REFUSED: Final = "refused"
STEADY: Final = "steady"
ENVOY: Final = "envoy"
ENVOY_STEADY: Final = "envoy-steady"

ALL: Final = (CACHED, COLD, REFUSED, STEADY, ENVOY, ENVOY_STEADY)
FLOOR: Final = (CACHED, STEADY, ENVOY, ENVOY_STEADY)
DIRECT: Final = (CACHED, COLD, REFUSED, STEADY)


@dataclass(frozen=True)
class Place:
    """What a server is started with.

    Attributes:
        folder: its own, for settings, records and logs.
        address: where it shall listen.
        metrics: where it shall show metrics.
        corpus: keys.
    """

    folder: Path
    address: str
    metrics: str
    corpus: Corpus


@dataclass(frozen=True)
class Contestant:
    """One server.

    Attributes:
        name: short, for `--only` and tables.
        title: what it is.
        command: makes its command line.
        workloads: what it is asked.
        missing: why it cannot run here; empty when it can.
        tls: whether it speaks TLS.
    """

    name: str
    title: str
    command: Callable[[Place], list[str]]
    workloads: tuple[str, ...]
    missing: str = ""
    tls: bool = False


def contestants(programs: Programs) -> list[Contestant]:
    """Return everybody, in the order of the table."""
    return [*_ours(), *_floors(programs), *_references_of(programs)]


def _ours() -> list[Contestant]:
    return [
        Contestant("extauthz-native", "extauthz, native engine", _extauthz("native"), ALL),
        Contestant("extauthz-grpcio", "extauthz, grpcio engine", _extauthz("grpcio"), ALL),
        Contestant(
            "extauthz-grpcio-tls",
            "extauthz, grpcio engine, TLS",
            _extauthz("grpcio", tls=True),
            (CACHED, COLD),
            tls=True,
        ),
    ]


def _floors(programs: Programs) -> list[Contestant]:
    """Return constant answers: those of the same bytes as extauthz's, and tiny ones, like those of the references."""
    constant = ["-mode", "constant"]
    return [
        Contestant(
            "constant-native", "native engine, constant answer", _module("constant_native", files=_answer), FLOOR
        ),
        Contestant(
            "constant-grpcio", "grpcio engine, constant answer", _module("constant_grpcio", files=_answer), FLOOR
        ),
        _built(programs, "constant-go", "grpc-go, constant answer", "reference-go", constant, (CACHED,), files=_answer),
        Contestant("tiny-native", "native engine, tiny constant answer", _module("constant_native"), (CACHED,)),
        Contestant("tiny-grpcio", "grpcio engine, tiny constant answer", _module("constant_grpcio"), (CACHED,)),
        _built(programs, "tiny-go", "grpc-go, tiny constant answer", "reference-go", constant, FLOOR),
    ]


def _references_of(programs: Programs) -> list[Contestant]:
    return [
        _built(programs, "go-cache", "Go by hand, token cache", "reference-go", ["-mode", "cache"], ALL, files=_keys),
        _built(
            programs, "go-nocache", "Go by hand, no cache", "reference-go", ["-mode", "nocache"], DIRECT, files=_keys
        ),
        _built(
            programs, "opa-cache", "OPA's Rego in grpc-go, token cache", "reference-opa", ["-cache"], ALL, files=_keys
        ),
        _built(programs, "opa-nocache", "OPA's Rego in grpc-go, no cache", "reference-opa", [], DIRECT, files=_keys),
        Contestant(
            "opa-envoy",
            "OPA-Envoy",
            lambda _place: [],
            (),
            "its module is not served by the module proxy here; OPA's Rego in grpc-go stands in",
        ),
        _node(programs),
        Contestant(
            "pyjwt-cache", "grpcio + PyJWT, dict cache", _module("grpcio_pyjwt.server", "--cache", files=_keys), DIRECT
        ),
        Contestant("pyjwt-nocache", "grpcio + PyJWT, no cache", _module("grpcio_pyjwt.server", files=_keys), DIRECT),
        *(
            Contestant(
                f"least-{engine}",
                f"the least in Python, {engine} engine",
                _module("least", "--engine", engine, files=_keys_and_answer),
                (COLD, STEADY),
            )
            for engine in ("native", "grpcio")
        ),
    ]


def _extauthz(engine: str, *, tls: bool = False) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        settings = write_settings(
            place.folder,
            engine=engine,
            address=place.address,
            metrics=place.metrics,
            jwks=place.corpus.jwks,
            tls=tls,
        )
        return [sys.executable, "-m", "extauthz", "serve", "--config", str(settings)]

    return command


def _nothing(_place: Place) -> list[str]:
    return []


def _keys(place: Place) -> list[str]:
    return ["--jwks", str(place.corpus.jwks)]


def _answer(place: Place) -> list[str]:
    return ["--answer", str(place.corpus.answer)]


def _keys_and_answer(place: Place) -> list[str]:
    return [*_keys(place), *_answer(place), "--records", str(place.folder / "records")]


def _module(name: str, *options: str, files: Callable[[Place], list[str]] = _nothing) -> Callable[[Place], list[str]]:
    def command(place: Place) -> list[str]:
        where = ["--address", place.address, *files(place)]
        return [sys.executable, "-m", f"bench.references.{name}", *where, *options]

    return command


def _built(  # noqa: PLR0913, PLR0917 — a row of the table
    programs: Programs,
    name: str,
    title: str,
    program: str,
    options: list[str],
    workloads: tuple[str, ...],
    *,
    files: Callable[[Place], list[str]] = _nothing,
) -> Contestant:
    def command(place: Place) -> list[str]:
        where = ["--address", place.address, *files(place)]
        return [str(programs.paths[program]), *where, *options]

    return Contestant(name, title, command, workloads, programs.missing.get(program, ""))


def _node(programs: Programs) -> Contestant:
    def command(place: Place) -> list[str]:
        folder = programs.paths["reference-node"]
        protos = [str(ROOT / "protos"), str(folder / "protos")]
        return [str(programs.paths["node"]), str(folder / "server.js"), place.address, str(place.corpus.jwks), *protos]

    return Contestant("node", "Node.js, grpc-js + jose", command, DIRECT, programs.missing.get("reference-node", ""))


METADATA: Final = f"x-extauthz-proxy-token={PROXY_TOKEN}"
"""Sent with every question; only extauthz looks at it."""
