"""How the interpreter was built, which is worth 10 to 20 % of what Python does."""

from __future__ import annotations

import platform
import sysconfig
from typing import Final

_NOTES: Final = {"PGO": "--enable-optimizations", "LTO": "--with-lto"}


def describe_python() -> str:
    """Return version and build of the interpreter, as far as it tells: what is not noted is unknown, not absent."""
    noted = str(sysconfig.get_config_var("CONFIG_ARGS"))
    build = [name for name, mark in _NOTES.items() if mark in noted]
    if "deb_system" in sysconfig.get_scheme_names():  # Debian and Ubuntu use both and strip them from what is noted.
        build = ["PGO and LTO by Debian's or Ubuntu's rules"]
    return f"CPython {platform.python_version()} ({' + '.join(build) or 'no PGO or LTO noted'})"
