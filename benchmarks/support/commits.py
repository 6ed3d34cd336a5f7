"""Commits of this repository, for scripts that look at two of them: their names, dates and files."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.support.paths import REPOSITORY


def short_name(revision: str = "HEAD") -> str:
    """Return the first seven digits of a commit."""
    return _git("rev-parse", "--short=7", f"{revision}^{{commit}}")


def date(revision: str = "HEAD") -> str:
    """Return the date of a commit, such as 2026-12-31."""
    return _git("show", "--no-patch", "--format=%cs", revision)


def name_of_working_tree() -> str:
    """Return HEAD's short name, with a plus if edgekd/ or targets/ have uncommitted changes."""
    return short_name() + ("+" if _git("status", "--porcelain", "--", "edgekd", "targets") else "")


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Check out a commit in a git worktree that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), revision)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> str:
    process = subprocess.run(["git", *arguments], cwd=REPOSITORY, check=True, text=True, stdout=subprocess.PIPE)
    return process.stdout.strip()
