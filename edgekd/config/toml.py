"""TOML written by hand: the standard library reads it, and only values, tables and lists of settings are needed."""

import json
from collections.abc import Mapping
from typing import Any


def value(setting: Any) -> str:
    """A value in one line, as it stands behind `name =` and after --set."""
    if isinstance(setting, bool):
        return str(setting).lower()
    if isinstance(setting, Mapping):
        return "{ " + ", ".join(f"{name} = {value(each)}" for name, each in setting.items()) + " }"
    if isinstance(setting, list | tuple):
        return f"[{', '.join(map(value, setting))}]"
    return json.dumps(setting, ensure_ascii=False) if isinstance(setting, str) else str(setting)


def document(settings: Mapping[str, Any], name: str = "") -> str:
    """A file of nested tables; `name` is that of the table around them."""
    lines = [f"[{name}]"] if name else []
    lines += [f"{key} = {value(setting)}" for key, setting in settings.items() if not isinstance(setting, Mapping)]
    tables = {key: setting for key, setting in settings.items() if isinstance(setting, Mapping) and setting}
    below = [document(setting, f"{name}.{key}" if name else key) for key, setting in tables.items()]
    return "\n".join([*lines, *(f"\n{text}" for text in below)]).strip() + "\n"
