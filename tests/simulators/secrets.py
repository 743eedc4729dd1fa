"""Texts that look like secrets and are none."""

from __future__ import annotations

JWT = ".".join(  # noqa: FLY002 — in pieces, so that scanners do not take it for a real one
    ["eyJhbGciOiJFUzI1NiJ9", "eyJzdWIiOiJjYW5hcnkifQ", "c2lnbmF0dXJlLWNhbmFyeS1jYW5hcnk"]
)
