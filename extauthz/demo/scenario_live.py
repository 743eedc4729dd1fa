"""Takes the steps of a situation: requests through Envoy, and what changes between them."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING, Any, Final

from extauthz.clock import SystemClock
from extauthz.demo.command import run_command
from extauthz.demo.scenario import find_differences, to_ask, to_claims, to_policy
from extauthz.demo.scenario_stage import NO_REGISTRY
from extauthz.demo.scenario_steps import AskStep, NewRegistry, Run, Seen, Signal
from extauthz.errors import LinkError
from extauthz.link.caller import LinkCaller
from extauthz.policytools.caseform import DEFAULT_ISSUER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from extauthz.demo.ask import Answer
    from extauthz.demo.scenario import Situation
    from extauthz.demo.scenario_stage import SituationStage
    from extauthz.demo.scenario_steps import Act
    from extauthz.model.identity import Identity
    from extauthz.policytools.casefile import Case

_WAIT_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_ACCEPTED: Final = 202
_MILLI: Final = 1000


@dataclass(frozen=True, slots=True)
class Moment:
    """A step and what came of it.

    Attributes:
        title: the step, for people.
        expected: of a request, in a few words; empty for everything else.
        got: what came of it, line by line.
        wrong: what is not as it should be; empty when all is well.
    """

    title: str
    expected: str
    got: tuple[str, ...]
    wrong: tuple[str, ...] = ()


def play(stage: SituationStage, situation: Situation) -> Iterator[Moment]:
    """Take the steps of a situation in order, and yield what came of each.

    Raises:
        OSError: Envoy, or the receiver, stopped answering.
        NotSwappedError: the server did not take the policy, or a registry, over.
    """
    asks = [step for step in situation.steps if isinstance(step, AskStep)]
    if not asks:
        return
    stage.swap_policy(to_policy(situation, stage.stage.issuer.url, asks[0].case.at, SystemClock().now()))
    player = _Player(stage, situation)
    player.begin_a_second()  # Whatever was ended by the situation before was issued earlier.
    try:
        for step in situation.steps:
            yield player.ask(step) if isinstance(step, AskStep) else player.act(step)
    finally:
        stage.swap_registry(NO_REGISTRY)


class _Player:
    def __init__(self, stage: SituationStage, situation: Situation) -> None:
        self._stage = stage
        self._situation = situation
        self._clock = SystemClock()
        self._pause = threading.Event()
        self._tokens: list[tuple[Identity, str]] = []

    def begin_a_second(self) -> None:
        """Wait for the next second: tokens say theirs in whole ones, and one of this second counts as issued before."""
        begins = floor(self._clock.now()) + 1
        while (left := begins - self._clock.now()) > 0:  # A wait and the wall clock go by different clocks.
            self._pause.wait(left)

    def ask(self, step: AskStep) -> Moment:
        case = step.case
        answer = self._stage.stage.edge.send(to_ask(case, self._token_of(case, anew=step.new_token)))
        expect = case.expect
        expected = "allow" if expect.outcome == "allow" else f"deny {expect.reason or ''}".strip()
        return Moment(case.name, expected, (_told(answer),), find_differences(case, answer))

    def act(self, step: Act) -> Moment:
        if isinstance(step, Run):
            return self._run(step)
        if isinstance(step, Signal):
            return self._signal(step)
        if isinstance(step, NewRegistry):
            path = self._situation.folder / step.registry
            self._stage.swap_registry(self._localised(path))
            return Moment(f"the registry becomes {step.registry}", "", ())
        return self._wait_for(step)

    def _token_of(self, case: Case, *, anew: bool) -> str:
        """Return the token of a caller: the one from before unless it gets another."""
        if case.identity is None:
            return ""
        known = next((token for identity, token in self._tokens if identity == case.identity), "")
        if known and not anew:
            return known
        if known:
            self.begin_a_second()
            self._tokens = [(identity, token) for identity, token in self._tokens if identity != case.identity]
        issuer = self._stage.stage.issuer
        token = issuer.sign(to_claims(issuer.issuer, case, case.identity, self._clock.now()))
        self._tokens.append((case.identity, token))
        return token

    def _run(self, step: Run) -> Moment:
        ran = run_command(self._stage.stage, step.run)
        return Moment(f"$ extauthz {step.run}", "", ran.lines, (ran.problem,) if ran.problem else ())

    def _signal(self, step: Signal) -> Moment:
        about = _with_issuer(step.about, self._stage.stage.issuer.issuer)
        pushed = self._stage.stage.transmitter.push(step.signal, about, step.says)
        title = f"the issuer reports {step.signal}"
        if pushed.status != _ACCEPTED:
            return Moment(title, "", (), (f"{pushed.status} {pushed.body}",))
        return Moment(title, "", (f"202 after {pushed.seconds * _MILLI:.1f} ms: in force",))

    def _wait_for(self, step: Seen) -> Moment:
        title = f"until session {step.seen} is in the live table"
        until = self._clock.monotonic() + _WAIT_SECONDS
        problem = ""
        while self._clock.monotonic() < until:
            try:
                with closing(LinkCaller(self._stage.stage.run_dir / "admin.sock")) as caller:
                    answer = caller.ask({"op": "sessions", "limit": 1000})
            except LinkError as error:
                problem = str(error)
            else:
                problem = str(answer.get("error", "it is not"))
                if step.seen in {each["session"] for each in answer.get("sessions", ())}:
                    return Moment(title, "", ())
            self._pause.wait(_POLL_SECONDS)
        return Moment(title, "", (), (problem,))

    def _localised(self, path: Path) -> bytes:
        return path.read_bytes().replace(DEFAULT_ISSUER.encode(), self._stage.stage.issuer.url.encode())


def _told(answer: Answer) -> str:
    return f"{answer.status} {answer.reason}".strip()


def _with_issuer(value: Any, issuer: str) -> Any:
    """Return what is written with the demo's issuer in place of the one that situations name."""
    if isinstance(value, dict):
        return {name: _with_issuer(each, issuer) for name, each in value.items()}
    if isinstance(value, list):
        return [_with_issuer(each, issuer) for each in value]
    return issuer if value == DEFAULT_ISSUER else value
