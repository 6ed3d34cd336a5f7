"""Writing files: whole or not at all, and what to say where a disk or a folder refuses."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekd.errors import StoreError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a refused write below `path` into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        if refusal := refused(error, path):
            raise refusal from error
        raise


def refused(error: OSError, path: Path) -> StoreError | None:
    """The StoreError for a write that was refused: no space, no permission, no folder."""
    written = error.filename2 or error.filename  # a copy names what it reads first
    where = Path(os.fsdecode(written)) if isinstance(written, str | bytes) else path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"no space left for {where}",
            "free some space, or name a larger disk: --store DIR --out DIR; the same command goes on from here",
        )
    elsewhere = "name folders of your own: --store DIR --out DIR"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(f"{where} can't be written: {error.strerror}", elsewhere)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StoreError(f"{where} can't be written: a file stands where a folder should", elsewhere)
    return None


def copy(source: Path, destination: Path) -> None:
    """Copy a file so that a reader sees the old one or the new one, never half of it."""
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        aside = destination.with_name(f".{destination.name}.{os.getpid()}")
        try:
            shutil.copyfile(source, aside)
            sync(aside)
            os.replace(aside, destination)
        finally:
            aside.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Of a file's contents."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
