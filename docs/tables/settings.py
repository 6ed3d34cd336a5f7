"""Tables of every setting of a build, read from the settings classes, and of the targets that ship with edgekd."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from entries import cell
from pydantic import BaseModel, ByteSize

from edgekd.catalog.formats import FORMATS
from edgekd.catalog.runtimes import RUNTIMES
from edgekd.config import Config, targets, toml
from edgekd.config.base import FormatName, RuntimeName
from edgekd.config.mistakes import sections
from edgekd.config.template import meanings, plain
from edgekd.report.markdown import table

TYPES: dict[Any, str] = {
    bool: "true or false", int: "integer", float: "number", str: "text", Path: "path",
    ByteSize: 'bytes, or text such as "64 KiB"',
}  # fmt: skip
NAMES: dict[Any, Iterable[str]] = {get_args(FormatName)[1]: FORMATS, get_args(RuntimeName)[1]: RUNTIMES}
"""The validator of a name -> the names that it knows."""

BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
HEADINGS = ("setting", "type", "default", "meaning")

TARGET_COLUMNS = (
    "device.title", "device.core", "device.clock_mhz", "device.flash_bytes", "device.ram_bytes", "limits.size_bytes",
    "limits.flash_bytes", "limits.peak_ram_bytes",
)  # fmt: skip


def settings() -> str:
    """Every section with its settings."""
    alone = {name: field for name, field in Config.model_fields.items() if name not in sections()}
    rows = [
        (
            f"`{name}`",
            _type(field.annotation, field.metadata),
            f"`{toml.value(getattr(Config(), name))}`",
            cell(meanings(Config)[name]),
        )
        for name, field in alone.items()
    ]
    parts = [table(HEADINGS, rows)]
    for name, model in sections().items():
        parts.append(f"### {name}\n\n" + table(HEADINGS, _rows(name, model, getattr(Config(), name))))
    return "\n\n".join(parts) + "\n"


def all_targets() -> str:
    """What each target's file says of its device, and its limits in bytes, a row a target."""
    rows = []
    for name in targets.names():
        overlay = {key: value.strip('"') for key, value in _flat(targets.load(name).overlay).items()}
        rows.append((f"`{name}`", *(overlay.get(key, "") for key in TARGET_COLUMNS)))
    return table(("target", *(f"`{key}`" for key in TARGET_COLUMNS)), rows) + "\n"


def _rows(section: str, model: type[BaseModel], values: BaseModel | None) -> Iterator[tuple[str, ...]]:
    meaning = meanings(model)
    for name, field in model.model_fields.items():
        if name == "options":  # the catalog entry's own, which stand beside its name
            continue
        inner, value = _model(field.annotation), getattr(values, name) if values else field.default
        if isinstance(value, BaseModel):
            yield from _rows(f"{section}.{name}", type(value), value)
            continue
        default = "" if value is None else f"`{toml.value(plain(value))}`"
        yield f"`{section}.{name}`", _type(field.annotation, field.metadata), default, cell(meaning.get(name, ""))
        if inner is not None and not issubclass(model, inner):
            yield from _rows(f"{section}.{name}", inner, None)


def _type(annotation: Any, metadata: list[Any]) -> str:
    """A type in words: "number, > 0, ≤ 1"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return _type(next(each for each in arguments if each is not type(None)), metadata)
    if origin is Annotated:
        return _type(arguments[0], [*arguments[1:], *metadata])
    if origin is Literal:
        return _choices(arguments)
    if origin is tuple:
        return f"list: {_type(arguments[0], [])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    if names := [name for validator in metadata for name in NAMES.get(validator, ())]:
        return _choices(names)
    limits = (
        f"{sign} {getattr(bound, name)}" for bound in metadata for name, sign in BOUNDS.items() if hasattr(bound, name)
    )
    return ", ".join([TYPES[annotation], *limits])


def _choices(values: Iterable[Any]) -> str:
    return ", ".join(f"`{toml.value(value)}`" for value in values)


def _model(annotation: Any) -> type[BaseModel] | None:
    """The settings class of a list of tables."""
    candidates = get_args(annotation)
    return next((each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _flat(tables: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Dotted key -> value as TOML, of nested tables."""
    flat: dict[str, str] = {}
    for key, value in tables.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": toml.value(value)}
    return flat


PARTS: dict[str, Callable[[], str]] = {"settings": settings, "targets": all_targets}
