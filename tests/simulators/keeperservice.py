"""A running keeper with its sockets, and somebody who asks it as the operator."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from extauthz.clock import Instant, SystemClock
from extauthz.config.settings import Settings
from extauthz.keeper.service import ADMIN_SOCKET, KeeperService
from extauthz.link.caller import LinkCaller
from extauthz.state.sessions import SessionSeen
from tests.simulators.keepers import Worker
from tests.simulators.tokens import ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 10.0


def settings_in(folder: Path, **others: Any) -> Settings:
    """Return settings whose state, sockets and records are in a folder."""
    given = {
        "policy": [str(folder / "policy.yaml")],
        "state": {"path": str(folder / "state.db")},
        "server": {"run_dir": str(folder / "run")},
        "records": {"path": str(folder / "records.jsonl")},
        **others,
    }
    return Settings.model_validate(given)


class Running:
    """A running service, and somebody who asks it.

    Attributes:
        service: it.
        run_dir: where its sockets are.
        worker: that it asks for confirmations.
        admin: asks as the operator.
    """

    def __init__(self, service: KeeperService, run_dir: Path, worker: Worker) -> None:
        self.service = service
        self.run_dir = run_dir
        self.worker = worker
        self.admin = LinkCaller(run_dir / ADMIN_SOCKET, PATIENCE)

    def ask(self, op: str, **members: Any) -> dict[str, Any]:
        """Return the answer to the operator."""
        return self.admin.ask({"op": op, **members})

    def restrict(self, form: str = "subject", value: str = "bob", **members: Any) -> dict[str, Any]:
        """Take something away."""
        marks = [{"form": form, "issuer": ISSUER, "value": value}]
        return self.ask(
            "restrict", **{"marks": marks, "effect": "revoked", "kind": "revoke", "by": "eve", "reason": "x", **members}
        )


@contextmanager
def running(folder: Path, **others: Any) -> Iterator[Running]:
    """Yield a running service."""
    settings = settings_in(folder)
    worker = Worker(folder / "state.db")
    service = KeeperService(settings, SystemClock(), confirmers={"0": worker}, **others)
    service.start()
    try:
        one = Running(service, settings.server.run_dir, worker)
        with closing(one.admin), closing(worker):
            yield one
    finally:
        service.stop()


def bob(**others: Any) -> list[dict[str, str]]:
    """Return a target as the operator writes it."""
    return [{"form": "subject", "issuer": ISSUER, "value": "bob", **others}]


def seen(session: str, at: float, **others: Any) -> SessionSeen:
    """Return a use of a session."""
    return SessionSeen(issuer=ISSUER, session=session, at=Instant(at), **{"subject": "bob", **others})
