"""Walks the tour: sends every stop's request through Envoy, judges the answers, shows them as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from extauthz.demo.command import run_command
from extauthz.demo.judge import find_differences
from extauthz.demo.visitor import visit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from extauthz.demo.ask import Answer, Ask
    from extauthz.demo.command import Ran
    from extauthz.demo.issuer import Issuer
    from extauthz.demo.stage import Stage
    from extauthz.demo.tour import Expect, Stop, Token

ROUNDS: Final = 3
"""How often each request is sent: every answer must be the expected one, the fastest is the latency shown."""

STRANGER_KID: Final = "never-published"
"""Key name of the impostor whom the issuer does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One stop and what came of it.

    Attributes:
        expect: what was expected with the Envoy configuration of this run.
        answer: the first answer, or where the client repaired what was refused the last one of its first session.
        on_the_way: refusals before that.
        ran: the command before it; None for none.
        milliseconds: of the fastest round trip through Envoy.
        differences: in words; empty when every answer was as expected.
    """

    stop: Stop
    expect: Expect
    answer: Answer
    milliseconds: float
    differences: tuple[str, ...]
    on_the_way: tuple[Answer, ...] = ()
    ran: Ran | None = None


@dataclass(slots=True)
class Wallet:
    """The tokens of one run: equal recipes are the same token."""

    issuer: Issuer
    held: dict[Token, str] = field(default_factory=dict)

    def fetch(self, token: Token) -> str:
        """Return the token, minted the first time it is asked for."""
        if token not in self.held:
            if token.forged:
                self.held[token] = self.issuer.forge(token.client)
            elif token.stranger:
                self.held[token] = self.issuer.forge(token.client, kid=STRANGER_KID)
            else:
                self.held[token] = self.issuer.mint(token.client, token.wish)
        return self.held[token]

    def sign(self, stop: Stop) -> Ask:
        """Return the stop's request with its tokens."""
        lines = tuple(
            ("authorization", f"Bearer {self.fetch(token)}")
            for token in (stop.token, stop.second_token)
            if token is not None
        )
        return replace(stop.ask, headers=(*stop.ask.headers, *lines))


def walk(stage: Stage, stops: Iterable[Stop], *, hardened: bool) -> Iterator[Visit]:
    """Send each stop's request in order and yield what came of it.

    Raises:
        OSError: Envoy stopped answering.
    """
    wallet = Wallet(stage.issuer)
    for stop in stops:
        if stop.rotate:
            stage.issuer.rotate()
        expect = stop.hardened if hardened and stop.hardened is not None else stop.expect
        ran = run_command(stage, stop.run) if stop.run else None
        rounds = [_send(stage, stop, wallet) for _ in range(ROUNDS)]
        differences = {text: None for answers in rounds for text in find_differences(answers[-1], expect)}
        if ran is not None and ran.problem:
            differences[f"`extauthz {ran.typed}`: {ran.problem}"] = None
        yield Visit(
            stop=stop,
            expect=expect,
            answer=rounds[0][-1],
            milliseconds=1000 * min(sum(answer.seconds for answer in answers) for answers in rounds),
            differences=tuple(differences),
            on_the_way=tuple(rounds[0][:-1]),
            ran=ran,
        )


def _send(stage: Stage, stop: Stop, wallet: Wallet) -> list[Answer]:
    """Return what came back: one answer, or all that a client got until it was let through or gave up."""
    if stop.by_client and stop.token is not None:
        return visit(stage.edge, stage.issuer, stop.ask, stop.token.client, stop.token.wish.scope or "")
    return [stage.edge.send(wallet.sign(stop))]


def find_record(lines: Iterable[str], decision_id: str) -> dict[str, object] | None:
    """Return the decision record with this id, None when it is not among the lines."""
    for line in lines:
        if decision_id in line:
            record: dict[str, object] = json.loads(line)
            return record
    return None
