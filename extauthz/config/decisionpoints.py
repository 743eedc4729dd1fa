"""Settings of other decision points that policy can ask (OpenID AuthZEN, Authorization API 1.0)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from extauthz.config.section import Section
from extauthz.durations import Duration


class DecisionPointSettings(Section):
    """Another decision point, for the requirement `external`."""

    url: str = Field(
        description="Its access evaluation endpoint, for example https://pdp.example/access/v1/evaluation."
    )
    token_file: Path | None = Field(
        default=None, description="File with our access token for it, sent as `Authorization: Bearer`; read every time."
    )
    cache: Duration = Field(
        default=5.0, ge=0, le=300, description="How long an answer is believed; 0 asks for every decision."
    )
    cached_answers: int = Field(default=10_000, ge=1, le=1_000_000, description="Answers that are kept.")
    timeout: Duration = Field(
        default=1.0, gt=0, le=30, description="Time for one question. Who waits for it leaves at `server.deadline`."
    )
    slots: int = Field(
        default=8, ge=1, description="Questions under way, and decisions that wait, at a time; below `server.threads`."
    )
    insecure_http: bool = Field(
        default=False, description="WEAKENS: allow `http` URLs other than loopback; whoever is on the path can allow."
    )

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        if not url.startswith(("https://", "http://")):
            message = "must be a URL, for example https://pdp.example/access/v1/evaluation"
            raise ValueError(message)
        return url
