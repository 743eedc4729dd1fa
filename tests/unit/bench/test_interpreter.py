"""A report says how its interpreter was built, and never more than is known."""

from __future__ import annotations

import platform
import sysconfig

import pytest

from bench.interpreter import describe_python


@pytest.mark.parametrize(
    ("arguments", "schemes", "build"),
    [
        ("'--enable-shared'", (), "no PGO or LTO noted"),
        (None, (), "no PGO or LTO noted"),
        ("'--enable-optimizations' '--with-lto'", (), "PGO + LTO"),
        ("'--with-lto'", (), "LTO"),
        ("'--enable-shared'", ("deb_system",), "PGO and LTO by Debian's or Ubuntu's rules"),
    ],
)
def test_build_is_said_as_far_as_it_is_noted(
    monkeypatch: pytest.MonkeyPatch, arguments: str | None, schemes: tuple[str, ...], build: str
) -> None:
    """Distributions strip their flags, so a missing flag is no claim."""
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _name: arguments)
    monkeypatch.setattr(sysconfig, "get_scheme_names", lambda: schemes)
    assert describe_python() == f"CPython {platform.python_version()} ({build})"
