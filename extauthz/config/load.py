"""Settings from a YAML file with environment variables on top.

`EXTAUTHZ__SERVER__THREADS=8` sets `server.threads`; lists and mappings are JSON. A variable that names no setting is an
error, as an unknown key in the file is: a misspelt security setting must not be ignored. Relative paths are relative to
the settings file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from extauthz.config.problems import ENVIRONMENT_PREFIX, problems_of
from extauthz.config.settings import ListenerSettings, Settings
from extauthz.errors import ConfigError, FileError, Problem
from extauthz.validation import did_you_mean
from extauthz.yamlfile import YamlFile, read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNIX: Final = "unix:"


class LayeredSettings(Settings, BaseSettings):
    """The settings, with the environment as their upper layer."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the layers, the strongest first: environment, file. No `.env`, no secrets folder."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and where they come from.

    Attributes:
        settings: the settings in force.
        file: the settings file; None when there was none.
        environment: what environment variables set, nested like the file.
    """

    settings: Settings
    file: YamlFile | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)


def load_settings(path: Path | None) -> Settings:
    """Load the settings from `path` and the environment; see `load_with_origins`."""
    return load_with_origins(path).settings


def load_with_origins(path: Path | None) -> Loaded:
    """Load the settings from `path`, where given, and the environment.

    Raises:
        ConfigError: something is wrong; every problem found is listed.
    """
    file = _read(path) if path is not None else None
    _refuse_unknown_variables(os.environ)
    environment = _environment()
    try:
        settings = LayeredSettings(**(file.data or {} if file else {}))
    except ValidationError as error:
        raise ConfigError(problems_of(error, Settings, file, environment)) from error
    base = path.parent if path is not None else Path()
    plain = Settings.model_construct(**dict(settings))  # Validated above; whoever gets it need not know its layers.
    return Loaded(_anchored(plain, base), file, environment)


def _read(path: Path) -> YamlFile:
    try:
        file = read_yaml(str(path), path.read_bytes())
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from error
    except FileError as error:
        raise ConfigError(error.problems) from error
    if file.data is not None and not isinstance(file.data, dict):
        raise ConfigError([file.problem((), "the settings must be a mapping", "begin with `policy: …`")])
    return file


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    problems = []
    for name in sorted(environ):
        if not name.upper().startswith(ENVIRONMENT_PREFIX):
            continue
        section = name[len(ENVIRONMENT_PREFIX) :].split("__")[0].lower()
        if section not in Settings.model_fields:
            fix = did_you_mean(section, Settings.model_fields)
            problems.append(Problem(f"environment variable {name}", 0, 0, "no such setting", fix))
    if problems:
        raise ConfigError(problems)


def _environment() -> dict[str, Any]:
    """Return what environment variables set."""
    try:
        return EnvSettingsSource(LayeredSettings)()
    except SettingsError as error:
        name = str(error).partition('"')[2].partition('"')[0]
        where = f"environment variable {ENVIRONMENT_PREFIX}{name.upper()}"
        fix = 'write JSON, for example ["policy.yaml"]'
        raise ConfigError([Problem(where, 0, 0, "lists and mappings are JSON, and this is not", fix)]) from error


def _anchored(value: Any, base: Path) -> Any:
    """Return `value` with every relative path in it made relative to `base`."""
    if isinstance(value, Path):
        return base / value
    if isinstance(value, tuple):
        return tuple(_anchored(item, base) for item in value)
    if isinstance(value, dict):
        return {key: _anchored(item, base) for key, item in value.items()}
    if not isinstance(value, BaseModel):
        return value
    changes = {name: _anchored(getattr(value, name), base) for name in type(value).model_fields}
    if isinstance(value, ListenerSettings) and value.address.startswith(_UNIX):
        changes["address"] = f"{_UNIX}{base / value.address.removeprefix(_UNIX)}"
    return value.model_copy(update={name: new for name, new in changes.items() if new is not getattr(value, name)})
