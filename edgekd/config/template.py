"""The `edgekd.toml` that `edgekd init` writes: every setting with its meaning and its default, commented out."""

import inspect
import re
import textwrap
from typing import Any

from pydantic import BaseModel

from edgekd.config import Config, toml
from edgekd.config.mistakes import sections

HEAD = """\
# edgekd.toml: the settings of a build. Each is shown with its default; take the first "# " away to change it.
# Later wins: defaults, the target's file (edgekd targets NAME), this file, --set section.key=value.

"""
LEFT_TO_TARGETS = ("device",)


def template() -> str:
    """The text of the file."""
    text, explained = HEAD, meanings(Config)
    for name in [name for name in Config.model_fields if name not in sections()]:
        meaning = explained[name]
        text += f"# {meaning[:1].upper()}{meaning[1:]}\n# {name} = {toml.value(getattr(Config(), name))}\n"
    for name in sections():
        if name not in LEFT_TO_TARGETS:
            text += "\n" + _section(name, getattr(Config(), name))
    return text


def _section(name: str, values: BaseModel) -> str:
    lines, below = [f"[{name}]"], ""
    described = meanings(type(values))
    for field, value in values:
        if field == "options":
            continue
        if isinstance(value, BaseModel):
            below += "\n" + _section(f"{name}.{field}", value)
            continue
        setting = f"# {field} = {'' if value is None else toml.value(plain(value))}"
        meaning = ("no default; " if value is None else "") + described.get(field, "")
        lines.append(f"{setting:28} # {meaning}" if meaning else setting)
    return "\n".join(lines) + "\n" + below


def meanings(model: type[BaseModel]) -> dict[str, str]:
    """Field -> meaning, from the docstrings of a settings class and of those it builds on."""
    fields: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel):
            fields |= descriptions(base.__doc__, "Attributes:")
    return fields


def descriptions(docstring: str | None, heading: str) -> dict[str, str]:
    """Name -> meaning, of what a docstring lists under a heading: "Attributes:" or "Args:"."""
    listed = textwrap.dedent(inspect.cleandoc(docstring or "").partition(heading)[2].lstrip("\n"))
    names: dict[str, str] = {}
    for together, meaning in re.findall(r"^(\w+(?:, \w+)*): (.+(?:\n +.+)*)", listed, re.MULTILINE):
        names |= dict.fromkeys(together.split(", "), " ".join(meaning.split()))
    return names


def plain(value: Any) -> Any:
    """Sections inside a list as tables, without empty `options`."""
    if isinstance(value, BaseModel):
        return {name: plain(each) for name, each in value if name != "options"}
    return [plain(each) for each in value] if isinstance(value, tuple) else value
