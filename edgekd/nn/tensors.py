"""Tensors on disk: written whole or not at all, the same bytes each time, and read without running any code."""

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
    """`torch.save` beside `path`, onto the disk, then renamed: a kill or a full disk leaves what was there before."""
    buffer = io.BytesIO()  # saved to a file, the archive would carry the file's name
    torch.save(content, buffer)
    aside = path.with_name(f"{path.name}.part")
    try:
        with open(aside, "wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise StoreError(
            f"{path} can't be written: {error.strerror}", "free some space, or choose another place with --store"
        ) from error


def read(path: Path) -> Any:
    """What a file of `torch.save` holds, as long as that is tensors and plain values; ModelError otherwise."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old pickle protocols
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "GLOBAL" in str(error):
            raise _holds_code(path) from error
        raise _damaged(path) from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise _holds_code(path) from error
        raise _damaged(path) from error
    except (EOFError, LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
        raise _damaged(path) from error  # what torch's unpickler makes of bytes that mean nothing
    except OSError as error:
        if error.errno == errno.EINVAL:  # torch seeks before the start of an archive that was cut short
            raise _damaged(path) from error
        raise StoreError(f"{path} can't be read: {error.strerror}", "mind its permissions") from error


def _holds_code(path: Path) -> ModelError:
    return ModelError(
        f"{path} holds pickled code, which edgekd won't run",
        f"where you trust it, save the weights alone: torch.save(model.state_dict(), '{path.name}')",
    )


def _damaged(path: Path) -> ModelError:
    return ModelError(
        f"{path} is damaged or no torch checkpoint ({path.stat().st_size:,} bytes)",
        "copy it again, or save it anew with torch.save(model.state_dict(), …)",
    )
