"""What is wrong with a value in a case, before it is known where in the file it stands."""

from __future__ import annotations


class FormError(Exception):
    """A value cannot be used.

    Args:
        path: where in the case.
        message: what is wrong.
        fix: what to write instead.
    """

    def __init__(self, path: tuple[str, ...], message: str, fix: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.fix = fix
