"""The tables on distillation: methods, students, and the gain from a teacher."""

import re
from statistics import fmean, median

from benchmarks.boards.tables import over_seeds, rows, runs, table

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

ALSO = re.compile(r',?\{model="\w+",checkpoint="([\w-]+)\.th"\}?')
"""Matches one of the further teachers in `teacher.also`."""

MLPERF = {
    "resnet8": ("CIFAR-10: MLPerf Tiny's ResNet-8, int8 TFLite", "86.97 % in 98,496 B"),
    "resnet20": ("CIFAR-10: a ResNet-20 pruned to the same bytes, int8 TFLite", ""),
}
HINTONS = {
    "distilled": ("MNIST: Hinton's small net under three of his big ones, float", "74 errors of 10,000"),
    "distilled-int8": ("the same, pruned and int8, in a tenth of the bytes", ""),
}
"""The description and the published result of each variant."""

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


def methods() -> str:
    """Return the table of the methods on CIFAR-10: the mean of the seeds, and the gain over the student alone."""
    newest = {(row["method"], row["seed"]): row for row in rows("methods")}
    baseline = {seed: float(row["accuracy"]) for (method, seed), row in newest.items() if method == "no teacher"}
    header = (
        "method", "accuracy, seeds", "to the student alone, lowest and highest", "step, to a plain one",
        "step with the teacher's outputs at hand", "parameters of its own", "peak memory",
    )  # fmt: skip
    cells = []
    for method in dict.fromkeys(method for method, _ in newest):
        group = {seed: row for (name, seed), row in newest.items() if name == method}
        accuracies = {seed: float(row["accuracy"]) for seed, row in group.items() if row["accuracy"]}
        gains = [value - baseline[seed] for seed, value in accuracies.items() if seed in baseline]
        text = (
            f"{fmean(accuracies.values()):.2f} %, {len(accuracies)} of {len(group)}"
            if accuracies
            else f"diverged, {len(group)}"
        )
        shares = (
            median(float(row[name]) for row in group.values()) for name in ("step_ms_ratio", "step_ms_ratio_stored")
        )
        last = next(reversed(group.values()))
        cells.append(
            (
                method,
                text,
                f"{fmean(gains):+.2f} ({min(gains):+.2f} ... {max(gains):+.2f})" if gains else "",
                *(f"{share:.2f}x" for share in shares),
                f"{int(last['extra_parameters']):,}",
                f"{max(float(row['peak_memory_mb']) for row in group.values()):,.0f} MB",
            )
        )
    return table(header, cells)


def cifar10_students() -> str:
    """Return the table with a line for each run; further teachers are shortened to their names."""
    text = runs("cifar10_students", CIFAR10_STUDENTS, "student method epochs settings")()
    return re.sub(r"teacher\.also=\[(.*?)\}\]", lambda also: ALSO.sub(r" also=\1", also[1]).strip(), text)


def best_students() -> str:
    """Return the table of published and own results.

    A student's row has its best run, chosen on the same images that it is reported on, and the number of runs; Hinton's
    nets have the mean of their seeds.
    """
    cells = []
    for student, (description, published) in MLPERF.items():
        if group := [row for row in rows("cifar10_students") if row["student"] == student]:
            best = max(group, key=lambda row: float(row["accuracy_int8"]))
            text = f"{best['accuracy_int8']} % in {int(best['size_bytes']):,} B, the best of {len(group)} runs"
            cells.append((description, published, text))
    for variant, (description, published) in HINTONS.items():
        runs = {row["seed"]: row for row in rows("hinton_mnist") if row["variant"] == variant}
        if runs:
            errors = fmean(int(row["test_errors"]) for row in runs.values())
            size = max(int(row["size_bytes"]) for row in runs.values())
            cells.append((description, published, f"{errors:.1f} errors in {size:,} B, {len(runs)} seeds"))
    return table(("student", "published", "here"), cells)


def drift() -> str:
    """Return the table of means over the seeds in the windows before and after the change, and the last one."""
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows("drift"):
        groups.setdefault((row["change"], row["way"]), []).append(row)
    cells = []
    for (change, way), group in groups.items():
        windows = int(group[0]["of"])
        windows_of_interest = [
            [row for row in group if int(row["window"]) == w] for w in (windows // 2 - 1, windows // 2, windows - 1)
        ]
        texts = [
            f"{fmean(float(row['student_accuracy']) for row in window_rows):.1f} % "
            f"({fmean(float(row['teacher_accuracy']) for row in window_rows):.1f} %)"
            for window_rows in windows_of_interest
        ]
        cells.append((change, way, str(len({row["seed"] for row in group})), *texts))
    header = (
        "change",
        "way",
        "seeds",
        "student (teacher) before it",
        "in the first window after it",
        "in the last window",
    )
    return table(header, cells)


def epoch_cost() -> str:
    """Return the table of the medians of the rounds for each batch size and precision."""
    groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows("epoch_cost"):
        groups.setdefault(tuple(row[key] for key in ("data", "samples", "batch_size", "precision")), []).append(row)
    cells = [
        (
            f"{data}, {int(samples):,} samples, batches of {size}, {precision}",
            str(len(group)),
            f"{median(float(row['stored_to_plain']) for row in group):.2f}x",
            f"{median(float(row['loop_to_stored']) for row in group):.2f}x",
        )
        for (data, samples, size, precision), group in groups.items()
    ]
    return table(("setting", "rounds", "stored answers, to a plain epoch", "teacher in the loop, to stored"), cells)


TABLES = {
    "reached": best_students,
    "methods": methods,
    "hinton_mnist": runs("hinton_mnist", HINTON, "variant shift"),
    "cifar10_students": cifar10_students,
    "text_students": runs("text_students", TEXT_STUDENTS, "student"),
    "less_data": runs("less_data", LESS_DATA, "data method share"),
    "epoch_cost": epoch_cost,
    "schemes": over_seeds("schemes", "data run student", {"teacher": "teacher_accuracy", "accuracy": "accuracy"}),
    "cross_modal": over_seeds(
        "cross_modal", "student samples", {"teacher": "teacher_accuracy", "accuracy": "accuracy"}
    ),
    "stored_outputs": over_seeds("stored_outputs", "student", {"teacher": "teacher_accuracy", "accuracy": "accuracy"}),
    "adversarial": over_seeds(
        "adversarial", "student", {"accuracy": "accuracy", "under PGD": "accuracy_under_pgd", "labels alone": "alone"}
    ),
    "drift": drift,
}
