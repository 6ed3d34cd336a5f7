"""The tables on the source: its counts at each commit, and whether the shipped files stayed the same."""

from benchmarks.boards.tables import rows, table

COUNTS = {
    "rooms, first level": "{rooms}",
    "arrows between them": "{room_arrows}",
    "packages, all levels": "{packages}",
    "arrows between packages": "{package_arrows}",
    "loose files at the top": "{loose_files}",
    "files, lines": "{files}, {lines}",
    "longest file": "{longest_file_lines} lines, {longest_file}",
    "public names without a docstring": "{public_without_docstring} of {public_names}",
    "files that name an operator, layer norm (beside its own)": "{operator_files} ({operator_files_elsewhere})",
    "files that name a format, ONNX": "{format_files} ({format_files_elsewhere})",
    "files that name a runtime, TFLite Micro": "{runtime_files} ({runtime_files_elsewhere})",
    "files that name a loss, DKD": "{loss_files} ({loss_files_elsewhere})",
    "files that name a target, Android": "{target_files} ({target_files_elsewhere})",
}


def house() -> str:
    """Return the table with a line for each count and a column for each commit's newest row."""
    newest = {row["commit"]: row for row in rows("house")}
    header = ("", *(f"{commit}, {row['commit_date']}" for commit, row in newest.items()))
    lines = [(count, *(form.format_map(row) for row in newest.values())) for count, form in COUNTS.items()]
    return table(header, lines if newest else [])


def same_bytes() -> str:
    """Return the table with the newest row of each network, seed and file."""
    newest = {(row["network"], row["seed"], row["file"]): row for row in rows("same_bytes")}
    cells = [
        (*file, f"{row['before']}, {row['after']}", row["same"], row["sha256_after"]) for file, row in newest.items()
    ]
    return table(("network", "seed", "file", "commits", "the same bytes", "SHA-256 begins with"), cells)


TABLES = {"house": house, "same_bytes": same_bytes}
