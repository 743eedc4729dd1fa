"""What every part of the settings file has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A closed section: an unknown key is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
