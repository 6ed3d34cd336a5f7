"""The config of a build: defaults, then the target, then `edgekd.toml`, then `--set`; what is wrong is said by name."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekd.config import Config, targets
from edgekd.config.checks import check_formats, check_parts, check_paths, check_teachers
from edgekd.config.mistakes import explain_error
from edgekd.errors import ConfigError

FILE = Path("edgekd.toml")
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
        raise explain_error(error, sources) from error
    check_parts(resolved, sources)
    check_teachers(resolved)
    check_formats(resolved)
    check_paths(resolved, sources)
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


def _overlays(
    target_name: str | None, config: Path | str | None, settings: SettingsLike
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if target_name is not None:
        chosen = targets.load(target_name)
        yield str(chosen.file.name), chosen.overlay
    if config is not None or FILE.is_file():
        file = Path(config).expanduser() if config is not None else FILE
        yield str(file), targets.read_toml(file)
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
