"""A target is a TOML file: what is known of a device, its limits, and the settings its kernels like."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekd.errors import ConfigError, nearest

TABLES = ("device", "limits", "settings")
# What comes before pruning is the same for every target, so that all share one teacher and one student.
MAY_SET = ("prune", "quantize", "export", "verify", "profile")


@dataclass(frozen=True)
class Target:
    """One device.

    Attributes:
        file: where it was read.
        overlay: the config's sections that it fills in: `device`, `limits` and those of `MAY_SET`.
    """

    name: str
    file: Path
    overlay: dict[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> dict[str, Any]:
        """Its `[device]` table."""
        return dict(self.overlay["device"])

    @property
    def limits(self) -> dict[str, Any]:
        """Its `[limits]` table."""
        return dict(self.overlay["limits"])


def folder() -> Path:
    """The targets that ship with edgekd: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "_targets"
    return installed if installed.is_dir() else package.parent / "targets"


def names() -> tuple[str, ...]:
    """Of the targets that ship with edgekd."""
    return tuple(sorted(file.stem for file in folder().glob("*.toml")))


def load(name: str) -> Target:
    """The target of that name, or the user's own where `name` is a path to a TOML file."""
    if name.endswith(".toml") or "/" in name:
        file = Path(name).expanduser()
        if not file.is_file():
            raise ConfigError(
                f"target {name}: there is no such file", f"one of {', '.join(names())}, or a path to a TOML file"
            )
        return read(file)
    if name not in names():
        guess = nearest(name, names())
        known = f"edgekd has {', '.join(names())}"
        raise ConfigError(
            f"there is no target named {name!r}; {known}",
            f"--target {guess}" if guess else "--target NAME, or --target path/to/your.toml",
        )
    return read(folder() / f"{name}.toml")


def read(file: Path) -> Target:
    """A target from its file, its tables checked; its values are checked with the rest of the config."""
    tables = read_toml(file)
    for table, value in tables.items():
        if table not in TABLES:
            guess = nearest(table, TABLES)
            raise ConfigError(f"{file}: a target has no table [{table}]", f"[{guess or '], ['.join(TABLES)}]")
        if not isinstance(value, dict):
            raise ConfigError(f"{file}: {table} must be a table, not {value!r}", f"write it as [{table}]")
    for section, value in tables.get("settings", {}).items():
        if not isinstance(value, dict):
            raise ConfigError(f"{file}: settings.{section} must be a table, not {value!r}", f"[settings.{section}]")
        if section not in MAY_SET:
            guess = nearest(section, MAY_SET)
            raise ConfigError(
                f"{file}: a target can't set {section}: only what comes from pruning on differs between targets",
                f"[settings.{guess}]" if guess else f"move [{section}] to edgekd.toml",
            )
    device = {"name": file.stem, **tables.get("device", {})}
    return Target(file.stem, file, {"device": device, "limits": tables.get("limits", {}), **tables.get("settings", {})})


def read_toml(file: Path) -> dict[str, Any]:
    """A TOML file; ConfigError with the line where it is not one."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{file} is not TOML: {error}", "mend that line; text goes in quotes, tables in [brackets]"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file} is not UTF-8 text: {error.reason} at byte {error.start}", "save it as UTF-8"
        ) from error
    except FileNotFoundError as error:
        raise ConfigError(f"there is no file {file}", "edgekd init writes one") from error
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}", "name a readable TOML file") from error
