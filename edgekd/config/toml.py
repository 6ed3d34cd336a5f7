"""TOML written by hand: the standard library reads it, and only values, tables and lists of settings are needed."""

import json
from collections.abc import Mapping
from typing import Any


def value(found: Any) -> str:
    """A value in one line, as it stands behind `name =` and after --set."""
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, Mapping):
        return "{ " + ", ".join(f"{name} = {value(each)}" for name, each in found.items()) + " }"
    if isinstance(found, list | tuple):
        return f"[{', '.join(map(value, found))}]"
    return json.dumps(found, ensure_ascii=False) if isinstance(found, str) else str(found)


def document(settings: Mapping[str, Any], name: str = "") -> str:
    """A file of nested tables; `name` is that of the table around them."""
    lines = [f"[{name}]"] if name else []
    lines += [f"{key} = {value(found)}" for key, found in settings.items() if not isinstance(found, Mapping)]
    tables = {key: found for key, found in settings.items() if isinstance(found, Mapping) and found}
    below = [document(found, f"{name}.{key}" if name else key) for key, found in tables.items()]
    return "\n".join([*lines, *(f"\n{text}" for text in below)]).strip() + "\n"
