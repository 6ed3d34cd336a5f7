"""What pydantic finds wrong with a config, in one line and a remedy."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from edgekd import catalog
from edgekd.catalog import signatures
from edgekd.config import Config, Loss
from edgekd.errors import ConfigError, nearest


def sections() -> dict[str, type[BaseModel]]:
    """Name -> settings class, of every section of a config."""
    annotations = {name: field.annotation for name, field in Config.model_fields.items()}
    return {name: a for name, a in annotations.items() if isinstance(a, type) and issubclass(a, BaseModel)}


def explain_error(error: ValidationError, sources: Mapping[str, str]) -> ConfigError:
    """The first thing that pydantic found, as one line and a remedy."""
    first = error.errors(include_url=False)[0]
    location = [str(step) for step in first["loc"]]
    key, parent = ".".join(location), ".".join(location[:-1])
    written = next((sources[k] for k in _prefixes(location) if k in sources), None)
    where = f" ({written})" if written else ""
    if first["type"] == "extra_forbidden":
        known = _fields(location[:-1])
        guess = nearest(location[-1], known)
        right = _elsewhere(location[-1], exactly=True) or (f"{parent}.{guess}" if parent and guess else guess)
        right = right or (_option_of_a_loss(location[-1]) if parent == "distill" else None)
        right = right or _elsewhere(location[-1], exactly=False) or f"one of {', '.join(known)}"
        return ConfigError(f"unknown setting {key}{where}", right)
    expected = first["msg"].removeprefix("Input ").removeprefix("Value error, ").replace("valid tuple", "list")
    if first["type"] in ("model_type", "model_attributes_type"):
        remedy = f"[{key}], with its settings below it"
        if location[-1].isdigit():
            remedy = f"{parent} = {_default(location[:-1])}, which is the default"
        return ConfigError(f"{key} must be a table, not {first['input']!r}{where}", remedy)
    if first["type"] == "too_short":
        expected = "should not be empty"
    what = f"{key} {expected}, not {_shown(first['input'])}{where}"
    if first["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", expected)
        typed = str(first["input"]).casefold()
        guess = next((word for word in allowed if typed.startswith(word)), None) or nearest(typed, allowed)
        guess = guess or allowed[0]
        return ConfigError(what, f'{key} = "{guess}"')
    if first["type"].startswith("byte_size"):
        return ConfigError(what, f'{key} = "512 KiB"')
    default = _default(location)
    return ConfigError(what, f"leave {key} out" if default is None else f"{key} = {default}, which is the default")


def _prefixes(location: Sequence[str]) -> Iterator[str]:
    for end in range(len(location), 0, -1):
        yield ".".join(location[:end])


def _model_at(location: Sequence[str]) -> type[BaseModel] | None:
    """The settings class at a place in the config: ("data", "augment") -> Augment; list indices are passed over."""
    model: type[BaseModel] = Config
    for step in location:
        if step.isdigit():
            continue
        annotation = model.model_fields[step].annotation if step in model.model_fields else None
        candidates = [annotation, *get_args(annotation)]
        inner = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if inner is None:
            return None
        model = inner
    return model


def _fields(location: Sequence[str]) -> list[str]:
    model = _model_at(location)
    return list(model.model_fields) if model else []


def _elsewhere(name: str, *, exactly: bool) -> str | None:
    """Where a setting of this name, or about this name, does exist: "criterion" -> "prune.criterion"."""
    places = {f: f"{section}.{f}" for section, model in reversed(sections().items()) for f in model.model_fields}
    guess = name if exactly else nearest(name, places)
    return places.get(guess) if guess else None


def _option_of_a_loss(name: str) -> str | None:
    """Where a loss takes it: "temperature" is the soft targets'."""
    takers = {
        option: loss
        for loss in reversed(catalog.LOSSES)
        if (known := signatures.signature("loss", loss))
        for option in known.options
    }
    guess = nearest(name, takers)
    return f'distill.losses = [{{name = "{takers[guess]}", {guess} = ...}}]' if guess else None


def _default(location: Sequence[str]) -> str | None:
    model, name = _model_at(location[:-1]), location[-1]
    if model is None or name not in model.model_fields:
        holder = [step for step in location if not step.isdigit()]
        model, name = _model_at(holder[:-1]), holder[-1]
    value = model.model_fields[name].default if model and name in model.model_fields else None
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, tuple):
        return _shown(value)
    return f"[{', '.join(f'{{ name = {v.name!r} }}' if isinstance(v, Loss) else repr(v) for v in value)}]"


def _shown(value: Any) -> str:
    text = f"{value}" if isinstance(value, BaseModel) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
