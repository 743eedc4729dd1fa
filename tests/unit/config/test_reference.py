"""The reference page of settings."""

from __future__ import annotations

from pathlib import Path

from extauthz.config.reference import reference_page

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


def test_the_page_is_current() -> None:
    """Run `extauthz config --reference > docs/reference/settings.md` after changing settings."""
    assert PAGE.read_text(encoding="utf-8") == reference_page()


def test_sections_and_defaults_are_readable() -> None:
    """Lists, named sections, nested sections and defaults each have their form."""
    page = reference_page()
    assert "## `listeners[].tls`" in page
    assert "## `profiles.NAME`" in page
    assert "| `policy` | required |" in page
    assert "| `deadline` | `0.12` |" in page
    assert "| `socket_mode` | `0o660` |" in page
    assert "| `unauthenticated_proxies` | `false` |" in page
