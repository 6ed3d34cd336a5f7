"""Finds a data set's files under `data.root`, with errors that say what `data.root` must name."""

from pathlib import Path

from edgekd.errors import ConfigError, DataError


def folder(root: Path | None, data_set: str, holds: str) -> Path:
    """Return the folder `root`; ConfigError where it is not set or no folder.

    Args:
        holds: the files that the folder should have, for errors.
    """
    remedy = f"--set data.root=DIR, the folder with {holds}"
    if root is None:
        raise ConfigError(f"data set {data_set!r} needs data.root, which is not set", remedy)
    path = Path(root).expanduser()
    if not path.exists():
        raise ConfigError(f"data.root = {str(root)!r}: there is no such folder", remedy)
    if not path.is_dir():
        raise ConfigError(f"data.root = {str(root)!r} is a file, and data set {data_set!r} needs a folder", remedy)
    return path


def file(root: Path | None, data_set: str, holds: str) -> Path:
    """Return the file `root`; ConfigError where it is not set or no file.

    Args:
        holds: the content that the file should have, for errors.
    """
    remedy = f"--set data.root=FILE, {holds}"
    if root is None:
        raise ConfigError(f"data set {data_set!r} needs data.root, which is not set", remedy)
    path = Path(root).expanduser()
    if not path.exists():
        raise ConfigError(f"data.root = {str(root)!r}: there is no such file", remedy)
    if not path.is_file():
        raise ConfigError(f"data.root = {str(root)!r} is a folder, and data set {data_set!r} needs a file", remedy)
    return path


def first_of(folder: Path, names: list[str]) -> Path:
    """Return the first of `names` that exists in the folder; DataError where none does."""
    for name in names:
        if (folder / name).is_file():
            return folder / name
    others = f" (nor {', '.join(names[1:])})" if len(names) > 1 else ""
    raise DataError(
        f"there is no {names[0]} in {folder}{others}", f"put {names[0]} there, or set data.root to its folder"
    )


def contents(path: Path) -> bytes:
    """Return the bytes of a file; DataError where it can't be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror}", f"make {path.name} readable") from error
