"""Optuna, and the databases and files in which it stores studies."""

import importlib
import importlib.util
import re
import time
import warnings
from pathlib import Path
from typing import Any

from edgekd.disk import writing
from edgekd.errors import ConfigError, EdgekdError, MissingExtraError

HEARTBEAT_SECONDS, PATIENCE_SECONDS = 60, 300  # a killed process's trial is retried after these
# Seconds. If several processes start together, one creates the tables, and the others retry after these waits.
WAITS = (0.5, 1.0, 2.0, None)
# The package index's name of each driver, keyed by its module.
DRIVERS = {"psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}


def optuna_or_remedy() -> Any:
    """Import Optuna; MissingExtraError if it is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtraError("edgekd tune needs Optuna, which is not installed", "pip install 'edgekd[tune]'")
    optuna = importlib.import_module("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def storage_at(optuna: Any, url: str) -> Any:
    """Open a storage: a database's URL, or journal:///FILE, which is safer on network file systems."""
    file = Path(url.partition(":///")[2])
    if url.startswith(("sqlite:///", "journal:///")) and file.name:
        with writing(file.parent):
            file.parent.mkdir(parents=True, exist_ok=True)
    if url.startswith("journal:///"):
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file)))
    errors = importlib.import_module("sqlalchemy.exc")
    for wait in WAITS:
        try:
            return _database(optuna, url)
        except ImportError as error:
            match = re.search(r"No module named '([\w.]+)'", f"{error} {error.__cause__}")
            module = match[1] if match else "the database's driver"
            raise MissingExtraError(
                f"{without_password(url)} needs {module}, which is not installed",
                f"pip install {DRIVERS.get(module, module)}",
            ) from error
        except (errors.ArgumentError, errors.InvalidRequestError) as error:
            raise ConfigError(
                f"--storage {without_password(url)} is no database's URL", "--storage sqlite:///FILE"
            ) from error
        except errors.SQLAlchemyError as error:
            if wait is None:
                message = without_password(str(error).partition("\n")[0])
                raise EdgekdError(
                    f"the study's storage can't be opened: {message}", "--storage URL of one that runs"
                ) from error
            time.sleep(wait)
    raise AssertionError("the last wait is None")


def _database(optuna: Any, url: str) -> Any:
    with warnings.catch_warnings():  # Optuna still calls heartbeats, which it has had since 2.5, experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RDBStorage(
            url,
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=PATIENCE_SECONDS,
            heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=3),
        )


def without_password(url: str) -> str:
    """Return a URL without user and password."""
    return re.sub(r"//[^/@\s]*@", "//…@", url)
