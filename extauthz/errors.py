"""Every exception of ours, sorted by whose fault it is. Programmer errors are not in this tree.

`Refusal` ends a request and is translated to a denial in exactly one place (`guard.py`). `ConfigError` and
`PolicyError` are for the person who wrote a file: they name the place and the fix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extauthz.model.reason import Reason
    from extauthz.model.verdict import Remedy


class ExtAuthzError(Exception):
    """The root: anything that we raise on purpose."""


class Refusal(ExtAuthzError):  # noqa: N818 — it is an outcome, not a fault of the program
    """A request that cannot be decided in its favour, found before policy is asked.

    Args:
        reason: the stable code.
        detail: a sentence for the client that names the fix. It may name what *we* expect (an audience, a host form),
            never echo what was sent, never quote an exception.
        inner: what happened, for the decision record only.
        remedies: what the client can do instead.
        schemes: authentication schemes that the client tried, lower case, where the resource, which says which one
            counts, is not known.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        inner: str = "",
        remedies: tuple[Remedy, ...] = (),
        schemes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(reason, detail, inner)
        self.reason = reason
        self.detail = detail
        self.inner = inner
        self.remedies = remedies
        self.schemes = schemes


class StrictJsonError(ExtAuthzError):
    """A JSON text that we do not accept. The message is ours and carries nothing of the text."""


class JoseError(ExtAuthzError):
    """A compact JWS or a JWK that we do not accept. The message is ours and carries nothing of the text."""


class FetchError(ExtAuthzError):
    """Something remote did not answer, or not with what we can use."""


class AnswerError(FetchError):
    """It answered, not with what we can use, but what was asked about may be why: other questions may fare better."""


class StateError(ExtAuthzError):
    """The state cannot be read or written now. The message is for the operator: what is wrong, and the fix."""


class SharedStoreError(ExtAuthzError):
    """The Redis that machines share did not answer, or refused. The message is for the operator."""


class LinkError(ExtAuthzError):
    """Another of our processes cannot be asked, or what arrived from it is broken. The message is for the operator."""


class SignalError(ExtAuthzError):
    """A security event that we do not accept; told to whoever sent it.

    Args:
        err: the error code (RFC 8935 section 2.4; `invalid_state` of OpenID Shared Signals 1.0).
        description: a sentence of ours that names what is wrong; it carries nothing of the event.
    """

    def __init__(self, err: str, description: str) -> None:
        super().__init__(f"{err}: {description}")
        self.err = err
        self.description = description


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong in a file, where, and how to mend it.

    Attributes:
        file: path as the user gave it.
        line: 1-based; 0 when the problem is about the file as a whole.
        column: 1-based; 0 likewise.
        message: what is wrong, in one sentence.
        fix: what to write instead; empty when there is no better advice than the message.
    """

    file: str
    line: int
    column: int
    message: str
    fix: str = ""

    def __str__(self) -> str:
        """Return `file:line:column: message — fix`, the form that editors link."""
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.message}" + (f" — {self.fix}" if self.fix else "")


class FileError(ExtAuthzError):
    """A file that its author must mend.

    Args:
        problems: at least one; all that were found, in file order.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class ConfigError(FileError):
    """The settings are wrong."""


class PolicyError(FileError):
    """A policy file is wrong."""


class RegistryError(FileError):
    """A registry file is wrong."""
