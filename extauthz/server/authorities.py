"""Files of certificate authorities, read at start and again whenever they change.

A file that cannot be read, or not understood, changes nothing: what it held before stays in force. To withdraw an
authority, write the file without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from extauthz.errors import ConfigError, Problem
from extauthz.identity.authorities import Authorities, parse_authorities
from extauthz.limits import MAX_AUTHORITIES_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from extauthz.config.settings import Settings

_log = structlog.get_logger(__name__)


class AuthorityFiles:
    """What the files hold now; an `AuthoritySource`.

    Args:
        files: paths, each read now.

    Raises:
        ConfigError: one cannot be read, or not understood.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = {str(file): file for file in files}
        self._raw: dict[str, bytes] = {}
        self._parsed: dict[str, Authorities] = {}
        self._epochs: dict[str, int] = {}
        problems: list[Problem] = []
        for name, file in self._files.items():
            try:
                self._take(name, _read(file))
            except (OSError, ValueError) as error:
                problems.append(Problem(name, 0, 0, f"the authorities cannot be loaded: {_why(error)}"))
        if problems:
            raise ConfigError(problems)

    def find_authorities(self, file: str) -> Authorities | None:
        """Return what the file held when it could last be read."""
        return self._parsed.get(file)

    def epoch(self, file: str) -> int:
        """Return how often the file changed."""
        return self._epochs.get(file, 0)

    def look(self) -> None:
        """Read the files again."""
        for name, file in self._files.items():
            try:
                raw = _read(file)
                if raw == self._raw[name]:
                    continue
                self._take(name, raw)
            except (OSError, ValueError) as error:
                _log.warning("authorities stay as they were", file=name, problem=_why(error))
            else:
                _log.info("authorities loaded", file=name, certificates=len(self._parsed[name].certificates))

    def _take(self, name: str, raw: bytes) -> None:
        self._parsed[name] = parse_authorities(raw)
        # The fact first, then its epoch.
        self._epochs[name] = self._epochs.get(name, 0) + 1
        self._raw[name] = raw


def authority_files(settings: Settings) -> tuple[Path, ...]:
    """Return the files of authorities that the settings name."""
    found = (each.authorities for profile in settings.profiles.values() for each in profile.certificates.accept)
    return tuple(dict.fromkeys(file for file in found if file is not None))


def _read(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(MAX_AUTHORITIES_BYTES + 1)


def _why(error: OSError | ValueError) -> str:
    return error.strerror or "unreadable" if isinstance(error, OSError) else str(error)
