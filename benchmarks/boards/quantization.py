"""The tables on quantised networks: the cost of int8, the exactness of the files, and other tools."""

from benchmarks.boards.tables import rows, runs, table

KNOWN_EXCEPTIONS = {
    "operator": "{operator}",
    "draws that differ": "{draws_differing} of {draws}",
    "codes that differ": "{codes_differing} of {codes}",
    "largest difference": "{largest_steps} steps",
}


def int8_accuracy() -> str:
    """Return the table with the newest row of each student, method and seed."""
    newest = {(row["student"], row["method"], row["seed"]): row for row in rows("int8_accuracy")}
    header = (
        "student, method, seed", "float", "int8", "points lost", "test samples", "file",
        "outputs that differ: LiteRT, onnxruntime, simulation",
    )  # fmt: skip
    cells = [
        (
            f"{row['student']}, {row['method'].upper()}, {row['seed']}",
            f"{row['accuracy_float']} %",
            f"{row['accuracy_int8']} %",
            row["points_lost"],
            f"{int(row['test_samples']):,}",
            f"{int(row['tflite_bytes']):,} B",
            ", ".join(row[f"{name}_differing"] for name in ("litert", "onnxruntime", "simulation"))
            + f" of {int(row['outputs']):,}",
        )
        for row in newest.values()
    ]
    return table(header, cells)


def exactness() -> str:
    """Return the table with the newest row of each network, kind of weights and runtime."""
    newest = {(row["model"], row["weights"], row["runtime"]): row for row in rows("exactness")}
    header = (
        "network", "runtime", "inputs", "codes of all layers that differ", "outputs that differ",
        "simulation, identical", "QAT step, to a float step", "writing",
    )  # fmt: skip
    cells = [
        (
            row["model"],
            row["runtime"],
            f"{int(row['inputs']):,}",
            f"{int(row['layer_codes_differing']):,} of {int(row['layer_codes']):,}",
            f"{int(row['outputs_differing']):,} of {int(row['outputs']):,}",
            f"{100 * float(row['simulation_identical']):.4g} %" if row["simulation_identical"] else "",
            f"{row['qat_step_ratio']}x" if row["qat_step_ratio"] else "",
            f"{row['write_s']} s" if row["write_s"] else "",
        )
        for row in newest.values()
    ]
    return table(header, cells)


def foreign_files() -> str:
    """The newest row of each file and runtime."""
    newest = {(row["model"], row["runtime"]): row for row in rows("foreign_files")}
    header = (
        "file", "runtime", "inputs", "source, to the reference", "written again, to the source",
        "written again, to the reference", "outputs", "bytes: source, written again",
    )  # fmt: skip
    cells = [
        (
            row["model"],
            row["runtime"],
            f"{int(row['inputs']):,}",
            row["source_vs_reference"],
            row["written_vs_source"],
            row["written_vs_reference"],
            f"{int(row['outputs']):,}",
            f"{int(row['source_bytes']):,}, {int(row['written_bytes']):,}",
        )
        for row in newest.values()
    ]
    return table(header, cells)


def conversion_peers() -> str:
    """Return the table with the newest row of each student, tool, mode and format."""
    newest = {(row["model"], row["tool"], row["mode"], row["format"]): row for row in rows("conversion_peers")}
    header = (
        "student", "tool, mode, file", "int8 (float)", "same as its own simulation, largest step", "file", "converting",
        "peak memory", "latency, to ours",
    )  # fmt: skip
    cells = []
    for row in newest.values():
        what = (row["model"], f"{row['tool']}, {row['mode']}, {row['format']}")
        if not row["accuracy"]:
            cells.append((*what, row["note"], *("",) * (len(header) - 3)))
            continue
        share = float(row["identical_share"] or 0)
        same = f"{int(share * 1e4) / 100:.2f} %, {row['max_steps']}" if row["identical_share"] else "it has none"
        cells.append(
            (
                *what,
                f"{row['accuracy']} % ({row['accuracy_float']} %)",
                same,
                f"{int(row['size_bytes']):,} B",
                f"{row['convert_s']} s",
                f"{int(row['peak_mb']):,} MB",
                f"{row['latency_ratio']}x",
            )
        )
    return table(header, cells)


TABLES = {
    "int8_accuracy": int8_accuracy,
    "exactness": exactness,
    "foreign_files": foreign_files,
    "conversion_peers": conversion_peers,
    "known_exceptions": runs("known_exceptions", KNOWN_EXCEPTIONS, "operator"),
}
