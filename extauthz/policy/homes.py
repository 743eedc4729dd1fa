"""Whose a policy file is: the root's, a namespace's with its hosts and owner, or, without namespaces, nobody's.

One root file declares the namespaces; every other file belongs to one of them. What a team's file can say is bounded:

1. it declares resources on the hosts of its namespace only, and no host is in two namespaces;
2. its rules speak of its own resources only, `*` included;
3. its rule ids get the namespace in front (`billing/refunds`), so they never stand for a rule of the root;
4. resources and ids of our own (`extauthz`) are the root's.
5. its files lie in the namespace's folder, where the root names one: else whoever can write any file could say it is.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extauthz.model.decision import NOBODY, Home
from extauthz.policy.index import is_host_pattern
from extauthz.policy.names import OWN_NAME
from extauthz.validation import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from extauthz.errors import Problem
    from extauthz.policy.document import HeadPart, NamespacePart
    from extauthz.policy.written import Written

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the parts of a file belong, and what they may speak of.

    Attributes:
        home: whose they are.
        hosts: the host patterns that its resources may be on; None for any.
        folder: where its files lie; None for anywhere.
    """

    home: Home = NOBODY
    hosts: tuple[str, ...] | None = None
    folder: str | None = None

    @property
    def namespace(self) -> str:
        """Return the namespace; empty for the root, and where there are none."""
        return self.home.namespace

    def full_id(self, rule_id: str) -> str:
        """Return a rule's id with the namespace in front."""
        return f"{self.namespace}/{rule_id}" if self.namespace else rule_id

    def may_declare(self, host: str) -> bool:
        """Return whether resources may be on `host`, a pattern."""
        return self.hosts is None or any(covers(pattern, host) for pattern in self.hosts)


ANYWHERE: Final = Ground()


def covers(pattern: str, host: str) -> bool:
    """Return whether a host pattern stands for everything that another does."""
    return pattern == host or (pattern.startswith("*.") and host.partition(".")[2] == pattern[2:] and host[0] != "*")


def find_grounds(heads: Sequence[tuple[HeadPart, Written]], problems: list[Problem]) -> dict[str, Ground]:
    """Return where each file belongs, by its name; a file that belongs nowhere is left out.

    Args:
        heads: what each file says about itself.
        problems: what is wrong is added here.
    """
    if not any(head.root or head.namespace or head.namespaces for head, _ in heads):
        return {written.file.name: Ground(Home(owner=head.owner or "")) for head, written in heads}
    roots = [(head, written) for head, written in heads if head.root]
    if len(roots) != 1:
        problems.extend(_wrong_number_of_roots(roots, heads))
        return {}
    (root, root_written), grounds = roots[0], {}
    if root.namespace is not None:
        problems.append(
            root_written.at("namespace").problem("the root belongs to no namespace", "remove one of the two")
        )
    declared = _declared(root, root_written, problems)
    for head, written in heads:
        ground = Ground(Home(owner=root.owner or "")) if head.root else _ground(head, written, declared, problems)
        if ground is not None:
            grounds[written.file.name] = ground
    return grounds


def _wrong_number_of_roots(
    roots: Sequence[tuple[HeadPart, Written]], heads: Sequence[tuple[HeadPart, Written]]
) -> Iterable[Problem]:
    if not roots:
        first = next(written for head, written in heads if head.namespace or head.namespaces)
        yield first.problem(
            "there are namespaces, but no root policy", "say `root: true` in the file that declares them"
        )
    for _, written in roots[1:]:
        there = roots[0][1].file.name
        yield written.at("root").problem(f"{there} is the root already", "remove `root` here, and say `namespace`")


def _declared(root: HeadPart, written: Written, problems: list[Problem]) -> dict[str, Ground]:
    found: dict[str, Ground] = {}
    taken: dict[str, str] = {}
    for name, part in root.namespaces.items():
        place = written.at("namespaces", name)
        problems.extend(_namespace_problems(name, part, place))
        for host in part.hosts:
            other = next((there for there in taken if covers(there, host) or covers(host, there)), None)
            if other is not None and taken[other] != name:
                message = f"`{host}` belongs to the namespace `{taken[other]}`, which has `{other}`"
                problems.append(place.at("hosts").problem(message, "give every host to one namespace"))
            taken.setdefault(host, name)
        found[name] = Ground(Home(name, part.owner), part.hosts, _folder(part, written))
    return found


def _folder(part: NamespacePart, root: Written) -> str | None:
    """Return the folder of a namespace in the form in which files are named."""
    if part.folder is None:
        return None
    return posixpath.normpath(posixpath.join(posixpath.dirname(root.file.name), part.folder))


def _namespace_problems(name: str, part: NamespacePart, place: Written) -> Iterable[Problem]:
    if _NAME.fullmatch(name) is None:
        yield place.problem(f"`{name}` is not a namespace's name", "use lower-case letters, digits, `-` and `_`")
    if name == OWN_NAME:
        yield place.problem(f"the namespace `{name}` is reserved", "choose another")
    for host in part.hosts:
        if not is_host_pattern(host):
            yield place.at("hosts").problem(f"`{host}` is not a host", "write for example `billing.example.com`")


def _ground(head: HeadPart, written: Written, declared: Mapping[str, Ground], problems: list[Problem]) -> Ground | None:
    if head.namespaces:
        problems.append(written.at("namespaces").problem("only the root declares namespaces", "move them there"))
    if not head.namespace:
        fix = "say `namespace: …` at its top; only the root file has none"
        problems.append(written.problem("the file belongs to no namespace", fix))
        return None
    ground = declared.get(head.namespace)
    if ground is None:
        message = f"there is no namespace `{head.namespace}`"
        problems.append(written.at("namespace").problem(message, did_you_mean(head.namespace, declared)))
        return None
    if ground.folder is not None and not _lies_in(written.file.name, ground.folder):
        message = f"files of the namespace `{head.namespace}` lie in `{ground.folder}`"
        problems.append(written.at("namespace").problem(message, "move the file there, or say whose it is"))
    if head.owner and head.owner != ground.home.owner:
        message = f"the root says that `{head.namespace}` is owned by `{ground.home.owner}`"
        problems.append(written.at("owner").problem(message, "say the same, or leave `owner` out"))
    return ground


def _lies_in(file: str, folder: str) -> bool:
    """Return whether a file lies in a folder or below; by its name, as it was listed or included."""
    return posixpath.normpath(file).startswith(f"{folder}/")
