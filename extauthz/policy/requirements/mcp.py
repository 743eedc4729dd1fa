"""`mcp: {tools: [search, read_ticket]}`: of an MCP server only these tools, prompts, resources and methods are used.

What is called stands in the body (`policy/mcpmessage.py`), so a resource whose rules ask for this reads it, and refuses
what is no message. Allowed are:

1. the tools, prompts and resources that are listed, and listing their kind; a resource ends in `*` to stand for all
   that begin so;
2. what every client does to begin and to end: `initialize`, `server/discover`, `ping` and the notifications about it;
3. the methods that `methods` lists besides.

Every other method is not allowed, also one that a later version of the protocol brings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from extauthz.model.reason import Reason
from extauthz.policy.document import Part, Words
from extauthz.policy.mcpmessage import NAMED_BY, RESPONSE, read_message
from extauthz.policy.requirements.form import read_part
from extauthz.policy.rules import MET, Finding, Timeless, Unmet
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from extauthz.model.facts import Facts
    from extauthz.policy.mcpmessage import Message
    from extauthz.policy.surroundings import Surroundings
    from extauthz.policy.written import Written

ALWAYS: Final = frozenset(
    {
        "initialize",
        "server/discover",
        "ping",
        "notifications/initialized",
        "notifications/cancelled",
        "notifications/progress",
    }
)
"""Methods that do nothing but begin, end and tell."""

_LISTING: Final = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resources",
}

METHODS: Final = (
    RESPONSE,
    *_LISTING,
    "completion/complete",
    "logging/setLevel",
    "notifications/roots/list_changed",
    "subscriptions/listen",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/cancel",
    "tasks/update",
)
"""Methods that can be listed: those of all versions of the protocol that are about nothing that has a name."""


class McpPart(Part):
    """At least one of these."""

    tools: Words = ()
    prompts: Words = ()
    resources: Words = ()
    methods: Words = ()


@dataclass(frozen=True, slots=True)
class McpAllowed(Timeless):
    """What may be asked of an MCP server.

    Attributes:
        tools: by name.
        prompts: by name.
        resources: URIs, or beginnings of URIs that end in `*`.
        methods: all that are allowed and about nothing that has a name.
    """

    tools: frozenset[str]
    prompts: frozenset[str]
    resources: tuple[str, ...]
    methods: frozenset[str]
    reads: frozenset[str] = frozenset()
    kind: str = "mcp"

    def find(self, facts: Facts) -> Finding:
        """Return whether the message asks for nothing else."""
        if self._allows(read_message(facts.request)):
            return MET
        return Unmet(Reason.TOOL_NOT_ALLOWED, detail="Use only the tools and methods that are meant for you.")

    def _allows(self, message: Message) -> bool:
        match message.method:
            case "tools/call":
                return message.name in self.tools
            case "prompts/get":
                return message.name in self.prompts
            case method if method in NAMED_BY:
                return any(_stands_for(pattern, message.name) for pattern in self.resources)
            case method:
                return method in self.methods


def _stands_for(pattern: str, uri: str) -> bool:
    if not pattern.endswith("*"):
        return pattern == uri
    # A server may resolve dot segments, so that the beginning says nothing about where the URI leads.
    return uri.startswith(pattern[:-1]) and "/.." not in uri and "%" not in uri and "\\" not in uri


def compile_mcp(argument: Any, written: Written, _: Surroundings) -> McpAllowed:
    """Return the requirement that a policy file states.

    Raises:
        PolicyError: it allows nothing, or names a method that there is none of.
    """
    part = read_part(McpPart, argument, written)
    if not (part.tools or part.prompts or part.resources or part.methods):
        written.refuse("it allows nothing", "name tools, prompts, resources or methods")
    for position, method in enumerate(part.methods):
        if method not in METHODS:
            fix = "list names under `tools`, `prompts` or `resources`" if method in NAMED_BY else ""
            fix = fix or ("leave it out: it is always allowed" if method in ALWAYS else did_you_mean(method, METHODS))
            written.at("methods", position).refuse(f"`{method}` cannot be listed here", fix)
    for position, uri in enumerate(part.resources):
        if "*" in uri[:-1]:
            written.at("resources", position).refuse(
                "`*` stands at the end or nowhere", "write for example file:///docs/*"
            )
    listing = {method for method, kind in _LISTING.items() if getattr(part, kind)}
    return McpAllowed(
        tools=frozenset(part.tools),
        prompts=frozenset(part.prompts),
        resources=part.resources,
        methods=ALWAYS | listing | set(part.methods),
    )
