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
    text, meanings = HEAD, _meanings(Config)
    for name in [name for name in Config.model_fields if name not in sections()]:
        meaning = meanings[name]
        text += f"# {meaning[:1].upper()}{meaning[1:]}\n# {name} = {toml.value(getattr(Config(), name))}\n"
    for name, model in sections().items():
        if name not in LEFT_TO_TARGETS:
            text += "\n" + _section(name, getattr(Config(), name), _meanings(model))
    return text


def _section(name: str, values: BaseModel, meanings: dict[str, str]) -> str:
    lines, below = [f"[{name}]"], ""
    for field, value in values:
        if field == "options":
            continue
        if isinstance(value, BaseModel):
            below += "\n" + _section(f"{name}.{field}", value, _meanings(type(value)))
            continue
        setting = f"# {field} = {'' if value is None else toml.value(_plain(value))}"
        meaning = ("no default; " if value is None else "") + meanings.get(field, "")
        lines.append(f"{setting:28} # {meaning}" if meaning else setting)
    return "\n".join(lines) + "\n" + below


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """Field -> meaning, from the Attributes in the docstrings of a settings class and of those it builds on."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base.__doc__ is None:
            continue
        listed = textwrap.dedent(inspect.cleandoc(base.__doc__).partition("Attributes:")[2].lstrip("\n"))
        for names, meaning in re.findall(r"^([a-z_]+(?:, [a-z_]+)*): (.+(?:\n +.+)*)", listed, re.MULTILINE):
            found |= dict.fromkeys(names.split(", "), " ".join(meaning.split()))
    return found


def _plain(value: Any) -> Any:
    """Sections inside a list as tables, without empty `options`."""
    if isinstance(value, BaseModel):
        return {name: _plain(each) for name, each in value if name != "options"}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
