"""`network: [10.0.0.0/8]`, or `network: {in: […], not_in: […]}`: the connection comes from there.

The address is that of the connection which Envoy accepted, never what a header says. IPv4 addresses that are written
as IPv6 ones are folded before they get here.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from pydantic import Field

from extauthz.model.reason import Reason
from extauthz.policy.document import Part, Words
from extauthz.policy.requirements.form import read_part, read_words
from extauthz.policy.rules import MET, Finding, Timeless, Unmet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.model.facts import Facts
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

Network = IPv4Network | IPv6Network


class NetworkPart(Part):
    """The long form."""

    inside: Words = Field(default=(), alias="in")
    outside: Words = Field(default=(), alias="not_in")


@dataclass(frozen=True, slots=True)
class FromNetwork(Timeless):
    """Where the connection must come from, and where it must not.

    Attributes:
        inside: any of them; empty when anywhere will do.
        outside: none of them.
    """

    inside: tuple[Network, ...]
    outside: tuple[Network, ...] = ()
    reads: frozenset[str] = frozenset({"source.address"})
    kind: str = "network"

    def find(self, facts: Facts) -> Finding:
        """Return whether it does; an address that is not known is nowhere."""
        try:
            address = ip_address(facts.request.source.address)
        except ValueError:
            return Unmet(Reason.UNEXPECTED_NETWORK)
        inside = not self.inside or any(address in network for network in self.inside)
        if inside and not any(address in network for network in self.outside):
            return MET
        return Unmet(Reason.UNEXPECTED_NETWORK)


def compile_network(argument: Any, written: Written, _: Surroundings) -> FromNetwork:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it names no network, or something that is none.
    """
    if not isinstance(argument, dict):
        return FromNetwork(_networks(read_words(argument, written), written))
    part = read_part(NetworkPart, argument, written)
    if not (part.inside or part.outside):
        written.refuse("it names no network", "give `in`, `not_in` or both")
    return FromNetwork(_networks(part.inside, written.at("in")), _networks(part.outside, written.at("not_in")))


def _networks(words: Sequence[str], written: Written) -> tuple[Network, ...]:
    return tuple(_network(word, written) for word in words)


def _network(word: str, written: Written) -> Network:
    try:
        network = ip_network(word)
    except ValueError:
        written.refuse(f"`{word}` is not a network", "write for example 10.0.0.0/8, with zeros behind the prefix")
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None:
        written.refuse(f"`{word}` is IPv4 written as IPv6, which is never seen", "write the IPv4 network")
    return network
