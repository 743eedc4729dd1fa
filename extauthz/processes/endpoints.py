"""Where each worker listens, and what else differs from worker to worker: everything else is as in the settings.

Envoy opens few connections and keeps them, so one shared port would pin its load to one worker. With endpoints of their
own, Envoy sees each worker, spreads load over them, and looks after the health of each.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extauthz.errors import ConfigError, Problem
from extauthz.server.listen import Address, parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from extauthz.config.settings import Settings

_MAX_PORT: Final = 65535


def find_endpoints(settings: Settings) -> tuple[tuple[Address, ...], ...]:
    """Return where Envoy reaches us: for each listener the address of every worker, in the order of the workers.

    Raises:
        ConfigError: an address is wrong, there are not enough ports above it, or two workers would share one.
    """
    workers = range(max(1, settings.server.workers))
    alone = settings.server.workers == 0
    listeners = [parse_address(listener.address) for listener in settings.listeners]
    found = tuple(tuple(address if alone else _shifted(address, worker) for worker in workers) for address in listeners)
    shown = [] if settings.telemetry.metrics is None else [parse_address(settings.telemetry.metrics)]
    looked_at = [_shifted(address, 1 + worker) for address in shown for worker in workers if not alone]
    _require_distinct([*(address for each in found for address in each), *shown, *looked_at])
    return found


def to_worker_settings(settings: Settings, worker: int) -> Settings:
    """Return the settings of one worker.

    Its listeners stand `worker` ports above those of the settings, its metrics one more; it writes records to a file of
    its own, since whoever takes an unfinished line back needs the end of the file for himself.

    Args:
        settings: in force; `server.workers` is at least 1.
        worker: its number, from 0.

    Raises:
        ConfigError: as `find_endpoints`.
    """
    addresses = [each[worker] for each in find_endpoints(settings)]
    listeners = tuple(
        listener.model_copy(update={"address": str(address)})
        for listener, address in zip(settings.listeners, addresses, strict=True)
    )
    metrics, path = settings.telemetry.metrics, settings.records.path
    if metrics is not None:
        metrics = str(_shifted(parse_address(metrics), 1 + worker))
    if isinstance(path, Path):
        path = path.with_name(f"{path.stem}-{worker}{path.suffix}")
    return settings.model_copy(
        update={
            "listeners": listeners,
            "telemetry": settings.telemetry.model_copy(update={"metrics": metrics}),
            "records": settings.records.model_copy(update={"path": path}),
        }
    )


def _shifted(address: Address, by: int) -> Address:
    """Return the address `by` ports on, or with a number in its name; port 0 stays: the system chooses each time."""
    if address.path is not None:
        path = address.path
        return parse_address(f"unix:{path.with_name(f'{path.stem}-{by}{path.suffix}')}")
    if address.port == 0:
        return address
    if address.port + by > _MAX_PORT:
        fix = "choose a lower port, or fewer workers"
        raise ConfigError([Problem(f"listener {address}", 0, 0, "there are not enough ports above it", fix)])
    return replace(address, port=address.port + by)


def _require_distinct(addresses: list[Address]) -> None:
    problems = list(_clashes([address for address in addresses if address.path is not None or address.port]))
    if problems:
        raise ConfigError(problems)


def _clashes(addresses: list[Address]) -> Iterator[Problem]:
    for position, address in enumerate(addresses):
        if address in addresses[:position]:
            fix = "leave as many ports between listeners, and before the metrics, as there are workers"
            yield Problem(f"listener {address}", 0, 0, "two parts of the server would listen on it", fix)
