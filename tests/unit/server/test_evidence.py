"""Each need goes to whoever fetches its kind; what nobody fetches stays unavailable."""

from __future__ import annotations

from extauthz.model.enquiry import Enquiry
from extauthz.ports import AnswerOf, Fetched, IntrospectionOf, KeysOf, Need, StatusListOf
from extauthz.server.evidence import EvidenceDesk


class Fetcher:
    """Notes what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[Need, float]] = []

    def fetch(self, need: Need, timeout: float) -> Fetched:
        """Say that it is done."""
        self.asked.append((need, timeout))
        return Fetched.DONE


def test_each_need_goes_to_its_fetcher() -> None:
    """With the time that is left."""
    keys, words = Fetcher(), Fetcher()
    desk = EvidenceDesk({KeysOf: keys, IntrospectionOf: words})
    needs: list[Need] = [KeysOf("i"), IntrospectionOf("i", "t")]
    assert [desk.fetch(need, 0.1) for need in needs] == [Fetched.DONE] * 2
    assert (keys.asked, words.asked) == ([(needs[0], 0.1)], [(needs[1], 0.1)])


def test_what_nobody_fetches_is_unavailable() -> None:
    """And never an error."""
    desk = EvidenceDesk({KeysOf: Fetcher()})
    for need in (StatusListOf("i", "u"), AnswerOf(Enquiry(kind="external", of="x", digest="d", question={}))):
        assert desk.fetch(need, 0.1) is Fetched.UNAVAILABLE
