"""The epoch of an issuer's keys tells whether what was decided with them still holds."""

from __future__ import annotations

from itertools import pairwise

import pytest

from extauthz.errors import FetchError
from extauthz.model.state import StateName
from extauthz.ports import Fetched
from extauthz.server.epochs import Epochs
from tests.simulators.tokens import ISSUER
from tests.unit.server.test_keys import COOL_DOWN, NEW, OLD, Stage, started


def epoch_of(stage: Stage) -> int:
    """Return the epoch of the issuer's keys."""
    return stage.keys.epoch(ISSUER)


def test_the_epoch_is_another_when_the_key_document_is_and_only_then() -> None:
    """Also for the keys of before, since nothing that was decided in between rests on them."""
    with started() as stage:
        seen = [epoch_of(stage)]
        for page in (OLD.jwks(), NEW.jwks(), NEW.jwks(), OLD.jwks(), FetchError("down"), b"<html>", OLD.jwks(NEW)):
            stage.serve(page)
            stage.clock.advance(COOL_DOWN)
            stage.fetch()
            seen.append(epoch_of(stage))
    changed = [after != before for before, after in pairwise(seen)]
    assert changed == [False, True, False, True, False, False, True]
    assert len(set(seen)) == 4
    assert min(seen) > 0


def test_without_usable_keys_the_epoch_is_negative() -> None:
    """Before the first fetch and when the set is too old; with the same keys again it is what it was."""
    assert epoch_of(Stage()) < 0
    with started() as stage:
        usable = epoch_of(stage)
        stage.clock.advance(7200)
        assert epoch_of(stage) == usable
        stage.clock.advance(1)
        assert epoch_of(stage) < 0
        assert stage.fetch() is Fetched.DONE
        assert epoch_of(stage) == usable


def test_epochs_are_told_in_the_order_asked_for_and_only_of_configured_issuers() -> None:
    """A name that nobody configured is a fault of ours, not an epoch that never changes."""
    with started() as stage:
        known, unknown = StateName("keys", ISSUER), StateName("keys", "https://other.example")
        epochs = Epochs({"keys": stage.keys.epoch})
        assert epochs.read_epochs((known, known)) == (epoch_of(stage),) * 2
        assert epochs.read_epochs(()) == ()
        for nobodys in (unknown, StateName("weather", ISSUER)):
            with pytest.raises(KeyError):
                epochs.read_epochs((nobodys,))
