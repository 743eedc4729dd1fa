"""The reference page of all settings, made from the models."""

from __future__ import annotations

from inspect import cleandoc
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from extauthz.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_HEADING: Final = """\
# Settings

Made from `extauthz/config/settings.py` by `extauthz config --reference`; do not edit.

`extauthz serve --config FILE` reads a YAML file with the keys below. An unknown key is an error. Relative paths are
relative to the file. Environment variables come on top: `EXTAUTHZ__SERVER__THREADS=8` sets `server.threads`; lists and
mappings are JSON. Durations are text like `150ms`, `30s`, `5m`, `1h`, `7d`, or a number of seconds.
"""


def reference_page() -> str:
    """Return the page as Markdown."""
    return _HEADING + "".join(_section(Settings, ""))


def _section(model: type[BaseModel], name: str) -> Iterator[str]:
    heading = f"`{name}`" if name else "Top level"
    yield f"\n## {heading}\n\n{cleandoc(model.__doc__ or '')}\n\n"
    yield "| key | default | meaning |\n| --- | --- | --- |\n"
    for key, known in model.model_fields.items():
        yield f"| `{key}` | {_default(key, known)} | {_meaning(known, _path(name, key, known))} |\n"
    for key, known in model.model_fields.items():
        inner = _model_in(known.annotation)
        if inner is not None:
            yield from _section(inner, _path(name, key, known))


def _path(name: str, key: str, known: FieldInfo) -> str:
    shape = str(known.annotation)
    suffix = "[]" if shape.startswith("tuple[") else ".NAME" if shape.startswith("dict[") else ""
    return f"{name}.{key}{suffix}".removeprefix(".")


def _meaning(known: FieldInfo, path: str) -> str:
    inner = _model_in(known.annotation)
    text = (known.description or "").replace("|", "\\|")
    see = f"See `{path}`." if inner is not None else ""
    return f"{text} {see}".strip()


def _default(key: str, known: FieldInfo) -> str:
    if known.default is PydanticUndefined:
        return "required"
    if isinstance(known.default, BaseModel) or (isinstance(known.default, tuple | dict) and _has_model(known.default)):
        return ""
    return f"`0o{known.default:o}`" if key == "socket_mode" else f"`{_plain(known.default)}`"


def _has_model(value: Any) -> bool:
    return any(isinstance(item, BaseModel) for item in value)


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in get_args(annotation) if (found := _model_in(argument))), None)
