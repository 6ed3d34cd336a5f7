"""Atomic writing of files, and errors for full disks and folders without permission."""

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
    """Turn a failed write below `path` into a StoreError that says what to do."""
    try:
        yield
    except OSError as error:
        if refusal := write_error(error, path):
            raise refusal from error
        raise


def write_error(error: OSError, path: Path) -> StoreError | None:
    """Return the StoreError for a write that failed for lack of space, permission or a folder; otherwise None."""
    file = error.filename2 or error.filename  # of a copy, `filename` is the file that is read
    place = Path(os.fsdecode(file)) if isinstance(file, str | bytes) else path
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            f"no space left for {place}",
            "free some space, or name a larger disk: --store DIR --out DIR; the same command goes on from here",
        )
    elsewhere = "name folders of your own: --store DIR --out DIR"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(f"{place} can't be written: {error.strerror}", elsewhere)
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return StoreError(f"{place} can't be written: a file stands where a folder should", elsewhere)
    return None


def copy(source: Path, destination: Path) -> None:
    """Copy a file atomically: a reader sees the old file or the new one."""
    with writing(destination):
        destination.parent.mkdir(parents=True, exist_ok=True)
        temporary = destination.with_name(f".{destination.name}.{os.getpid()}")
        try:
            shutil.copyfile(source, temporary)
            sync(temporary)
            os.replace(temporary, destination)
        finally:
            temporary.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's contents, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
