"""The config of a build: defaults, then the target, then `edgekd.toml`, then `--set`; what is wrong is said by name."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from edgekd import catalog, target
from edgekd.config import Config, Loss, Part, Source
from edgekd.errors import ConfigError, nearest

FILE = Path("edgekd.toml")
# What edgekd itself hands to an entry, so that the user need not.
FILLED_IN = {"model": ("classes", "input_shape", "vocabulary"), "data set": ("root",)}
SettingsLike = Mapping[str, Any] | Sequence[str]


def configure(target_name: str | None = None, config: Path | str | None = None, settings: SettingsLike = ()) -> Config:
    """The whole config, checked as far as that goes without importing torch.

    Args:
        config: a TOML file; by default `edgekd.toml` in the working directory, where there is one.
        settings: "key=value" texts as after `--set`, or a mapping such as {"data.root": folder}.
    """
    merged = Config().model_dump()
    sources: dict[str, str] = {}
    for source, overlay in _overlays(target_name, config, settings):
        _merge(merged, overlay, source, sources)
    try:
        resolved = Config.model_validate(merged)
    except ValidationError as error:
        raise _in_words(error, sources) from error
    _check_parts(resolved, sources)
    _check_teachers(resolved)
    _check_paths(resolved, sources)
    return resolved


def parse_setting(text: str) -> tuple[str, Any]:
    """(key, value) of "key=value"; the value is read as TOML where it is TOML, and as text where it is not."""
    key, equals, written = text.partition("=")
    key, written = key.strip(), written.strip()
    if not equals or not all(key.split(".")):
        raise ConfigError(f"--set {text!r} is not key=value", "--set distill.epochs=20")
    try:
        parsed = tomllib.loads(f"value = {written}")
    except tomllib.TOMLDecodeError:
        return key, written
    return key, parsed["value"] if set(parsed) == {"value"} else written


def sections() -> dict[str, type[BaseModel]]:
    """Name -> settings class, of every section of a config."""
    annotations = {name: field.annotation for name, field in Config.model_fields.items()}
    return {name: a for name, a in annotations.items() if isinstance(a, type) and issubclass(a, BaseModel)}


@dataclass(frozen=True)
class Named:
    """Something in a config that names a catalog entry.

    Attributes:
        section: where; `setting` is the name's own key.
        options: for the entry.
        settings: names of the section's own fields.
    """

    section: str
    setting: str
    kind: str
    name: str
    options: Mapping[str, Any]
    settings: tuple[str, ...]


def parts(config: Config) -> tuple[Named, ...]:
    """Everything in a config that names a catalog entry."""
    found = [
        _named("data", "name", "data set", config.data),
        _named("teacher", "model", "model", config.teacher),
        _named("student", "model", "model", config.student),
        _named("distill.scheme", "name", "scheme", config.distill.scheme),
        *(_named(f"distill.losses[{i}]", "name", "loss", loss) for i, loss in enumerate(config.distill.losses)),
    ]
    if config.prune.criterion != "none":
        found.append(_named("prune", "criterion", "criterion", config.prune))
    for i, other in enumerate(config.teacher.also):
        found.append(_named(f"teacher.also[{i}]", "model", "model", other))
    for section, source in _teachers(config):
        if source.call is not None:
            found.append(Named(section, f"{section}.call", "teacher", source.call, {}, ()))
    return tuple(found)


def _teachers(config: Config) -> Iterator[tuple[str, Source]]:
    yield "teacher", config.teacher
    yield from ((f"teacher.also[{i}]", other) for i, other in enumerate(config.teacher.also))


def _named(section: str, field: str, kind: str, part: Part) -> Named:
    settings = tuple(type(part).model_fields)
    return Named(section, f"{section}.{field}", kind, getattr(part, field), part.entry_options(), settings)


def _overlays(
    target_name: str | None, config: Path | str | None, settings: SettingsLike
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if target_name is not None:
        chosen = target.load(target_name)
        yield str(chosen.file.name), chosen.overlay
    if config is not None or FILE.is_file():
        file = Path(config).expanduser() if config is not None else FILE
        yield str(file), target.read_toml(file)
    pairs = settings.items() if isinstance(settings, Mapping) else map(parse_setting, settings)
    for key, value in pairs:
        nested: Any = value
        for name in reversed(key.split(".")):
            nested = {name: nested}
        yield "--set", nested


def _merge(
    into: dict[str, Any], overlay: Mapping[str, Any], source: str, sources: dict[str, str], at: str = ""
) -> None:
    for key, value in overlay.items():
        path = f"{at}.{key}" if at else key
        if isinstance(value, Mapping):
            if not isinstance(into.get(key), dict):
                into[key] = {}
            _merge(into[key], value, source, sources, path)
        else:
            into[key] = value
        sources[path] = source


def _in_words(error: ValidationError, sources: Mapping[str, str]) -> ConfigError:
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
        guess = nearest(str(first["input"]), allowed) or allowed[0]
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
        if (known := catalog.signature("loss", loss))
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


def _check_parts(config: Config, sources: Mapping[str, str]) -> None:
    """Every name that a config uses exists, and takes the options that stand beside it."""
    for part in parts(config):
        try:
            catalog.check_options(part.kind, part.name, part.options, part.section, part.settings)
            known = catalog.signature(part.kind, part.name)
        except ConfigError as error:
            option = error.what.removeprefix("unknown setting ").partition(":")[0]
            keys = (option, part.setting, part.section.partition("[")[0])
            written = next((sources[key] for key in keys if key in sources), None)
            what = error.what if error.what.startswith("unknown setting") else f"{part.setting}: {error.what}"
            raise ConfigError(f"{what} ({written})" if written else what, error.remedy) from error
        if known is None or part.kind in ("criterion", "teacher"):
            continue
        missing = [n for n in known.required if n not in part.options and n not in FILLED_IN.get(part.kind, ())]
        if missing:
            option = f"{part.section}.{missing[0]}"
            raise ConfigError(f"{option} is missing: {part.kind} {part.name!r} needs it", f"--set {option}=...")


def _check_teachers(config: Config) -> None:
    """Each teacher comes from one place, and several come together where that means something."""
    for section, source in _teachers(config):
        given = [name for name in ("checkpoint", "file", "call", "answers") if getattr(source, name) is not None]
        if len(given) > 1:
            raise ConfigError(
                f"{section} has {' and '.join(given)}: a teacher comes from one of them",
                f"leave out {section}.{given[-1]}",
            )
    first = config.teacher
    if first.members > 1 and (first.foreign or first.checkpoint is not None):
        raise ConfigError(
            f"teacher.members = {first.members} are trained here, and {first.title} is brought along",
            "teacher.members = 1; further teachers stand in [[teacher.also]]",
        )
    if first.specialists and (first.foreign or first.members > 1 or first.also):
        raise ConfigError(
            "teacher.specialists are for one torch model, and there are several teachers or one from outside",
            "teacher.specialists = 0, or leave out members, also, file, call and answers",
        )


def _check_paths(config: Config, sources: Mapping[str, str]) -> None:
    """What the config points to is there."""
    checkpoints = {f"{name}.checkpoint": getattr(config, name).checkpoint for name in ("teacher", "student")}
    for section, source in _teachers(config):
        if section != "teacher":
            checkpoints[f"{section}.checkpoint"] = source.checkpoint
        checkpoints[f"{section}.answers"] = source.answers
    files = {f"{section}.file": source.file for section, source in _teachers(config)}
    paths = {"data.root": config.data.root, **checkpoints, **files}
    for key, path in paths.items():
        if path is None:
            continue
        where = f" ({sources[key]})" if key in sources else ""
        if not path.exists():
            relative = "" if path.is_absolute() else f" in {Path.cwd()}"
            raise ConfigError(f"{key}: there is no {path}{relative}{where}", f"--set {key}=PATH")
    for key, path in checkpoints.items():
        if path is not None and path.is_dir():
            raise ConfigError(f"{key}: {path} is a folder", f"--set {key}=FILE")
    if config.distill.epochs == 0 and config.student.checkpoint is None:
        raise ConfigError(
            "distill.epochs = 0 leaves the student untrained",
            "--set distill.epochs=40, or --set student.checkpoint=FILE",
        )
