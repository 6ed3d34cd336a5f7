"""What can be wrong with a config whose settings are all of their kind."""

import json
from collections.abc import Mapping
from pathlib import Path

from edgekd.catalog import signatures
from edgekd.catalog.formats import EXCHANGED, FORMATS
from edgekd.config import Config
from edgekd.config.parts import parts, teachers
from edgekd.errors import ConfigError

# What edgekd itself hands to an entry, so that the user need not.
FILLED_IN = {"model": ("classes", "input_shape", "vocabulary"), "data set": ("root",)}


def check_parts(config: Config, sources: Mapping[str, str]) -> None:
    """Every name that a config uses exists, and takes the options that stand beside it."""
    for part in parts(config):
        try:
            signatures.check_options(part.kind, part.name, part.options, part.section, part.settings)
            known = signatures.signature(part.kind, part.name)
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


def check_teachers(config: Config) -> None:
    """Each teacher comes from one place, and several come together where that means something."""
    for section, source in teachers(config):
        sources = [name for name in ("checkpoint", "file", "call", "answers") if getattr(source, name) is not None]
        if len(sources) > 1:
            raise ConfigError(
                f"{section} has {' and '.join(sources)}: a teacher comes from one of them",
                f"leave out {section}.{sources[-1]}",
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


def check_formats(config: Config) -> None:
    """One of the formats has float files: the ledger compares them, and the limits go by it."""
    formats = config.export.formats
    if all(FORMATS[name].int8_only for name in formats):
        raise ConfigError(
            f"export.formats = {json.dumps(formats)} has no float files that int8 could be compared with",
            f"export.formats = {json.dumps([EXCHANGED[0], *formats])}",
        )


def check_paths(config: Config, sources: Mapping[str, str]) -> None:
    """What the config points to is there."""
    checkpoints = {f"{name}.checkpoint": getattr(config, name).checkpoint for name in ("teacher", "student")}
    for section, source in teachers(config):
        if section != "teacher":
            checkpoints[f"{section}.checkpoint"] = source.checkpoint
        checkpoints[f"{section}.answers"] = source.answers
    files = {f"{section}.file": source.file for section, source in teachers(config)}
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
