"""Tensors on disk: written completely or not at all, with the same bytes each time, and read without running code."""

import errno
import io
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from edgekd.errors import ModelError, StoreError


def write(path: Path, content: Any) -> None:
    """Write by `torch.save` to a temporary file, and rename it: a kill or a full disk leaves the old file intact."""
    buffer = io.BytesIO()  # saved to a file, the archive would carry the file's name
    torch.save(content, buffer)
    temporary = path.with_name(f"{path.name}.part")
    try:
        with open(temporary, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(
            f"{path} can't be written: {error.strerror}", "free some space, or choose another place with --store"
        ) from error


def read(path: Path) -> Any:
    """Read a file of `torch.save` that holds tensors and plain values alone.

    Raises:
        ModelError: the file is damaged, or holds code.
        StoreError: the file can't be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            raise _code_error(path) from error
        raise _damage_error(path) from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise _code_error(path) from error
        raise _damage_error(path) from error
    except (EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise _damage_error(path) from error  # torch's unpickler raises these on random bytes
    except OSError as error:
        if error.errno == errno.EINVAL:  # torch seeks before the start of an archive that was cut short
            raise _damage_error(path) from error
        raise StoreError(f"{path} can't be read: {error.strerror}", "mind its permissions") from error


def _code_error(path: Path) -> ModelError:
    return ModelError(
        f"{path} holds pickled code, which edgekd won't run",
        f"where you trust it, save the weights alone: torch.save(model.state_dict(), '{path.name}')",
    )


def _damage_error(path: Path) -> ModelError:
    return ModelError(
        f"{path} is damaged or no torch checkpoint ({path.stat().st_size:,} bytes)",
        "copy it again, or save it anew with torch.save(model.state_dict(), …)",
    )
