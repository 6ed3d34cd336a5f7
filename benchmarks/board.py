"""Writes the tables of README.md and benchmarks/README.md from the CSVs: python benchmarks/board.py [--check]

A table stands between `<!-- board: NAME -->` and `<!-- /board -->`. --check only says whether they are up to date.
"""

import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median

HERE = Path(__file__).parent
PAGES = (HERE.parent / "README.md", HERE / "README.md")
FORMS = ("tflite", "onnx", "simulation")
BLOCK = re.compile(r"(<!-- board: (\w+) -->\n)(.*?)(<!-- /board -->)", re.DOTALL)


def rows(name: str) -> list[dict[str, str]]:
    """The rows of results/`name`.csv, none where there is no such file yet."""
    path = HERE / "results" / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def table(header: tuple[str, ...], cells: list[tuple[str, ...]]) -> str:
    """A Markdown table, or that there is nothing to stand in it yet."""
    if not cells:
        return "No rows yet.\n"
    lines = [header, ("---",) * len(header), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main_job() -> str:
    """The newest row of each data set, target and seed."""
    newest = {(row["data"], row["target"], row["seed"]): row for row in rows("main_job")}
    header = (
        "data, target, seed", "teacher", "int8 TFLite", "int8 ONNX", "teacher, float", "int8 TFLite file",
        "outputs that differ: TFLite, ONNX, simulation", "build",
    )  # fmt: skip
    cells = [
        (
            f"{row['data']}, {row['target']}, {row['seed']}",
            f"{row['teacher_accuracy']} %",
            f"{row['tflite_accuracy']} %",
            f"{row['onnx_accuracy']} %",
            f"{int(row['teacher_float_bytes']):,} B",
            f"{int(row['tflite_bytes']):,} B",
            f"{', '.join(row[f'{form}_differing'] for form in FORMS)} of {int(row['outputs']):,}",
            f"{float(row['build_s']):.0f} s",
        )
        for row in newest.values()
    ]
    return table(header, cells)


def startup() -> str:
    """The newest row."""
    cells = [
        (row["what"], f"{row['median_s']} s", f"{row['lowest_s']} to {row['highest_s']} s")
        for row in rows("startup")[-1:]
    ]
    return table(("command", "median", "spread"), cells)


def first_run() -> str:
    """The newest row."""
    cells = [
        (f"{row['install_s']} s", f"{row['build_s']} s", f"{row['make_test_s']} s, {row['tests_passed']} tests")
        for row in rows("first_run")[-1:]
    ]
    return table(("`make demo`: installing", "`make demo`: building", "then `make test`"), cells)


def small_batches() -> str:
    """The newest row of each load."""
    newest = {row["busy_processes"]: row for row in rows("small_batches")}
    ways = ("one_thread_ms", "all_threads_ms", "all_threads_passive_ms")
    cells = [(row["busy_processes"], *(f"{row[way]} ms" for way in ways)) for row in newest.values()]
    return table(("busy processes beside it", "one thread", "all threads", "all threads, waiting passively"), cells)


def int8_accuracy() -> str:
    """The newest row of each student, method and seed."""
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
    """The newest row of each network, its weights and runtime."""
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


def conversion_peers() -> str:
    """The newest row of each student, tool, mode and format."""
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


def methods() -> str:
    """Each method on CIFAR-10: the mean of its seeds, and seed by seed what it adds to the student alone."""
    newest = {(row["method"], row["seed"]): row for row in rows("methods")}
    alone = {seed: float(row["accuracy"]) for (method, seed), row in newest.items() if method == "no teacher"}
    header = (
        "method", "accuracy, seeds", "to the student alone, lowest and highest", "step, to a plain one",
        "step with the teacher's outputs at hand", "parameters of its own", "peak memory",
    )  # fmt: skip
    cells = []
    for method in dict.fromkeys(method for method, _ in newest):
        runs = {seed: row for (name, seed), row in newest.items() if name == method}
        right = {seed: float(row["accuracy"]) for seed, row in runs.items() if row["accuracy"]}
        gains = [value - alone[seed] for seed, value in right.items() if seed in alone]
        told = f"{fmean(right.values()):.2f} %, {len(right)} of {len(runs)}" if right else f"diverged, {len(runs)}"
        shares = (
            median(float(row[name]) for row in runs.values()) for name in ("step_ms_ratio", "step_ms_ratio_stored")
        )
        last = next(reversed(runs.values()))
        cells.append(
            (
                method,
                told,
                f"{fmean(gains):+.2f} ({min(gains):+.2f} ... {max(gains):+.2f})" if gains else "",
                *(f"{share:.2f}x" for share in shares),
                f"{int(last['extra_parameters']):,}",
                f"{max(float(row['peak_memory_mb']) for row in runs.values()):,.0f} MB",
            )
        )
    return table(header, cells)


def runs(name: str, columns: dict[str, str], by: str) -> Callable[[], str]:
    """A table with a line a run, the newest of those that are alike in the column `by` and in `seed`.

    Args:
        columns: what stands above a column -> how it is written, of the CSV's columns: "{accuracy} %".
    """

    def written() -> str:
        newest = {tuple(row[key] for key in (*by.split(), "seed")): row for row in rows(name)}
        cells = [tuple(form.format_map(row) for form in columns.values()) for row in newest.values()]
        return table(tuple(columns), cells)

    return written


def over_seeds(name: str, by: str, columns: dict[str, str]) -> Callable[[], str]:
    """A table with a line for each kind of run: the mean over its seeds, and each of them.

    Args:
        by: the CSV's columns that tell kinds apart; they stand in the first cell.
        columns: what stands above a column -> the CSV's column, in percent; cells that are empty in it stay so.
    """

    def written() -> str:
        newest = {tuple(row[key] for key in (*by.split(), "seed")): row for row in rows(name)}
        cells = []
        for kind in dict.fromkeys(key[:-1] for key in newest):
            runs = [row for key, row in newest.items() if key[:-1] == kind]
            told = [[row[column] for row in runs if row[column]] for column in columns.values()]
            cells.append((", ".join(kind), str(len(runs)), *map(_mean_and_each, told)))
        return table((by.replace(" ", ", ").replace("_", " "), "seeds", *columns), cells)

    return written


def _mean_and_each(values: list[str]) -> str:
    each = f" ({', '.join(values)})" if len(values) > 1 else ""
    return f"{fmean(map(float, values)):.2f} %{each}" if values else ""


def drift() -> str:
    """Means over the seeds: in the last window before the change, the first one after it, and at the end."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows("drift"):
        groups.setdefault((row["change"], row["way"]), []).append(row)
    cells = []
    for (change, way), found in groups.items():
        windows = int(found[0]["of"])
        at = [[row for row in found if int(row["window"]) == w] for w in (windows // 2 - 1, windows // 2, windows - 1)]
        told = [
            f"{fmean(float(row['student_accuracy']) for row in these):.1f} % "
            f"({fmean(float(row['teacher_accuracy']) for row in these):.1f} %)"
            for these in at
        ]
        cells.append((change, way, str(len({row["seed"] for row in found})), *told))
    header = (
        "change",
        "way",
        "seeds",
        "student (teacher) before it",
        "in the first window after it",
        "in the last window",
    )
    return table(header, cells)


HINTON = {
    "net": "{variant}",
    "seed": "{seed}",
    "jittered by": "{shift} pixels",
    "errors of 10,000": "{test_errors}",
    "bytes": "{size_bytes}",
    "outputs that differ": "{outputs_differing}",
}
CIFAR10_STUDENTS = {
    "student, method, seed": "{student}, {method}, {seed}",
    "settings": "{epochs} epochs {settings}",
    "teacher": "{accuracy_teacher} %",
    "float": "{accuracy_float} %",
    "int8": "{accuracy_int8} %",
    "int8 TFLite file": "{size_bytes} B",
    "outputs that differ": "{outputs_differing}",
}
TEXT_STUDENTS = {
    "student, seed": "{student}, {seed}",
    "teacher": "{accuracy_teacher} %",
    "float": "{accuracy_float} %",
    "alone": "{accuracy_alone} %",
    "kept": "{kept_percent} %",
    "smaller": "{times_smaller}x",
    "faster": "{times_faster}x",
    "int8: TFLite, ONNX": "{accuracy_tflite} %, {accuracy_onnx} %",
    "bytes: TFLite, ONNX": "{tflite_bytes}, {onnx_bytes}",
    "outputs that differ": "{outputs_differing} of {outputs}",
}
LESS_DATA = {
    "data": "{data}",
    "method": "{method}",
    "share of the labels": "{share}",
    "seed": "{seed}",
    "samples": "{samples}",
    "accuracy": "{accuracy} %",
}


def epoch_cost() -> str:
    """The medians of the rounds of each batch size and precision."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows("epoch_cost"):
        groups.setdefault(tuple(row[key] for key in ("data", "samples", "batch_size", "precision")), []).append(row)
    cells = [
        (
            f"{data}, {int(samples):,} samples, batches of {size}, {precision}",
            str(len(found)),
            f"{median(float(row['stored_to_plain']) for row in found):.2f}x",
            f"{median(float(row['loop_to_stored']) for row in found):.2f}x",
        )
        for (data, samples, size, precision), found in groups.items()
    ]
    return table(("setting", "rounds", "stored answers, to a plain epoch", "teacher in the loop, to stored"), cells)


KNOWN_EXCEPTIONS = {
    "operator": "{operator}",
    "draws that differ": "{draws_differing} of {draws}",
    "codes that differ": "{codes_differing} of {codes}",
    "largest difference": "{largest_steps} steps",
}

TABLES = {
    "main_job": main_job,
    "startup": startup,
    "first_run": first_run,
    "small_batches": small_batches,
    "int8_accuracy": int8_accuracy,
    "exactness": exactness,
    "conversion_peers": conversion_peers,
    "methods": methods,
    "hinton_mnist": runs("hinton_mnist", HINTON, "variant shift"),
    "cifar10_students": runs("cifar10_students", CIFAR10_STUDENTS, "student method epochs settings"),
    "text_students": runs("text_students", TEXT_STUDENTS, "student"),
    "less_data": runs("less_data", LESS_DATA, "data method share"),
    "epoch_cost": epoch_cost,
    "schemes": over_seeds("schemes", "run student", {"teacher": "teacher_accuracy", "accuracy": "accuracy"}),
    "cross_modal": over_seeds(
        "cross_modal", "student samples", {"teacher": "teacher_accuracy", "accuracy": "accuracy"}
    ),
    "stored_outputs": over_seeds("stored_outputs", "student", {"teacher": "teacher_accuracy", "accuracy": "accuracy"}),
    "adversarial": over_seeds(
        "adversarial", "student", {"accuracy": "accuracy", "under PGD": "accuracy_under_pgd", "labels alone": "alone"}
    ),
    "drift": drift,
    "known_exceptions": runs("known_exceptions", KNOWN_EXCEPTIONS, "operator"),
}


def written(text: str) -> str:
    """A page with its tables filled in."""
    return BLOCK.sub(lambda match: match[1] + TABLES[match[2]]() + match[4], text)


def main() -> None:
    """Write the pages, or say which are behind their CSVs."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if written(text) == text:
            continue
        if "--check" in sys.argv[1:]:
            sys.exit(f"{page.name} is behind its CSVs: python benchmarks/board.py")
        page.write_text(written(text), encoding="utf-8")


if __name__ == "__main__":
    main()
