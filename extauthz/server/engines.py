"""Which engine serves: the one place that knows all of them.

`auto` takes the native engine where it can serve and says in the log which one runs and why. It goes back to grpcio
quietly where that is the plan (TLS, the extra is not installed) and loudly where something is wrong. `native` refuses
to start instead. `grpcio` is the way out if the native engine ever misbehaves.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import structlog

from extauthz.errors import ConfigError, Problem
from extauthz.server.grpcio_engine import GrpcioEngine
from extauthz.server.listen import judge_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.clock import Clock
    from extauthz.config.settings import Settings
    from extauthz.server.engine import CheckFunction, Engine
    from extauthz.server.proxies import ProxyRegistry

_log = structlog.get_logger(__name__)

PINNED: Final = "0.5.0"
"""The version of `pygrpc-native` that passes our conformance suite. It is young: no other one serves."""

_PACKAGE: Final = "pygrpc_native"
_MAX_FOLDER_BYTES: Final = 70
"""Bytes of the folder for temporary files that leave room for a socket's path (107 in all)."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why the native engine cannot serve.

    Attributes:
        what: a sentence part for the log.
        fix: what would make it serve.
        expected: nothing is wrong; it is not meant to serve here.
    """

    what: str
    fix: str
    expected: bool = False


def make_engine(  # noqa: PLR0913 — what an engine is made of, and how the native one is found
    checker: CheckFunction,
    proxies: ProxyRegistry,
    settings: Settings,
    clock: Clock,
    *,
    on_death: Callable[[], object],
    load: Callable[[], Any] | None = None,
) -> Engine:
    """Return the engine that the settings ask for.

    Args:
        checker: answers questions.
        proxies: tells who asks.
        settings: in force.
        clock: the stopwatch.
        on_death: ends the process; called when the engine can no longer answer.
        load: returns the module of the native engine, or raises; by default imports it.

    Raises:
        ConfigError: a listener cannot be, or the native engine is asked for and cannot serve.
    """
    wanted = settings.server.engine
    if wanted == "grpcio":
        _log.info("engine chosen", engine="grpcio", because="the settings say so")
        return GrpcioEngine(checker, proxies, settings, clock)
    native = _find_native(settings, load or _load)
    if not isinstance(native, Obstacle):
        because = "the settings say so" if wanted == "native" else "it is installed and every listener is local"
        _log.info("engine chosen", engine="native", version=PINNED, because=because)
        engine: Engine = native.NativeEngine(checker, proxies, settings, clock, on_death=on_death)
        return engine
    if wanted == "native":
        raise ConfigError([Problem("server.engine", 0, 0, f"native cannot serve: {native.what}", native.fix)])
    say = _log.info if native.expected else _log.error
    say("engine chosen", engine="grpcio", because=f"native cannot serve: {native.what}", fix=native.fix)
    return GrpcioEngine(checker, proxies, settings, clock)


def _load() -> Any:
    return import_module("extauthz.server.native_engine")


def _find_native(settings: Settings, load: Callable[[], Any]) -> Any:
    """Return the module of the native engine, or the obstacle."""
    for address, listener in zip(judge_listeners(settings), settings.listeners, strict=True):
        if listener.tls is not None or not address.is_local:
            why = "has TLS" if listener.tls is not None else "is plaintext on an address others reach"
            fix = "listen on a Unix socket or on 127.0.0.1 without TLS, or set server.engine: grpcio"
            return Obstacle(f"listener {address} {why}", fix, expected=True)
    try:
        module = load()
    except Exception as error:  # noqa: BLE001 — a broken package must not keep grpcio from serving
        if isinstance(error, ModuleNotFoundError) and error.name == _PACKAGE:
            return Obstacle("pygrpc-native is not installed", "pip install 'extauthz[native]'", expected=True)
        _log.error("the native engine cannot be loaded", exc_info=True)
        return Obstacle(f"it cannot be loaded ({type(error).__name__})", f"reinstall pygrpc-native=={PINNED}")
    if module.INSTALLED != PINNED:
        what = f"pygrpc-native {module.INSTALLED} is installed and {PINNED} is the one tested"
        return Obstacle(what, f"pip install pygrpc-native=={PINNED}")
    return _find_private_place() or module


def _find_private_place() -> Obstacle | None:
    """Return the obstacle that there is no folder for the private socket of health and reflection."""
    fix = "set TMPDIR to a folder with a short path that can be written"
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError:
        return Obstacle("there is no folder for temporary files that can be written", fix)
    if len(os.fsencode(folder)) > _MAX_FOLDER_BYTES:
        return Obstacle("the path of the folder for temporary files is too long for a socket", fix)
    return None
