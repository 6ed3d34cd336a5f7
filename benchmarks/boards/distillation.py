"""Distillation: the methods, the students and what a teacher was worth to them."""

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
"""One of several further teachers, as `teacher.also` has it."""

MLPERF = {
    "resnet8": ("CIFAR-10: MLPerf Tiny's ResNet-8, int8 TFLite", "86.97 % in 98,496 B"),
    "resnet20": ("CIFAR-10: a ResNet-20 pruned to the same bytes, int8 TFLite", ""),
}
HINTONS = {
    "distilled": ("MNIST: Hinton's small net under three of his big ones, float", "74 errors of 10,000"),
    "distilled-int8": ("the same, pruned and int8, in a tenth of the bytes", ""),
}
"""Variant -> (what it is, what was published)."""

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
    """Each method on CIFAR-10: the mean of its seeds, and seed by seed what it adds to the student alone."""
    newest = {(row["method"], row["seed"]): row for row in rows("methods")}
    alone = {seed: float(row["accuracy"]) for (method, seed), row in newest.items() if method == "no teacher"}
    header = (
        "method", "accuracy, seeds", "to the student alone, lowest and highest", "step, to a plain one",
        "step with the teacher's outputs at hand", "parameters of its own", "peak memory",
    )  # fmt: skip
    cells = []
    for method in dict.fromkeys(method for method, _ in newest):
        found = {seed: row for (name, seed), row in newest.items() if name == method}
        right = {seed: float(row["accuracy"]) for seed, row in found.items() if row["accuracy"]}
        gains = [value - alone[seed] for seed, value in right.items() if seed in alone]
        told = f"{fmean(right.values()):.2f} %, {len(right)} of {len(found)}" if right else f"diverged, {len(found)}"
        shares = (
            median(float(row[name]) for row in found.values()) for name in ("step_ms_ratio", "step_ms_ratio_stored")
        )
        last = next(reversed(found.values()))
        cells.append(
            (
                method,
                told,
                f"{fmean(gains):+.2f} ({min(gains):+.2f} ... {max(gains):+.2f})" if gains else "",
                *(f"{share:.2f}x" for share in shares),
                f"{int(last['extra_parameters']):,}",
                f"{max(float(row['peak_memory_mb']) for row in found.values()):,.0f} MB",
            )
        )
    return table(header, cells)


def cifar10_students() -> str:
    """A line a run; further teachers by their names alone."""
    written = runs("cifar10_students", CIFAR10_STUDENTS, "student method epochs settings")()
    return re.sub(r"teacher\.also=\[(.*?)\}\]", lambda also: ALSO.sub(r" also=\1", also[1]).strip(), written)


def reached() -> str:
    """What was published beside what was reached here: each student's best run, and out of how many, on the very images
    that it is reported on; Hinton's as a mean of its seeds."""
    cells = []
    for student, (what, published) in MLPERF.items():
        if found := [row for row in rows("cifar10_students") if row["student"] == student]:
            best = max(found, key=lambda row: float(row["accuracy_int8"]))
            told = f"{best['accuracy_int8']} % in {int(best['size_bytes']):,} B, the best of {len(found)} runs"
            cells.append((what, published, told))
    for variant, (what, published) in HINTONS.items():
        runs = {row["seed"]: row for row in rows("hinton_mnist") if row["variant"] == variant}
        if runs:
            errors = fmean(int(row["test_errors"]) for row in runs.values())
            size = max(int(row["size_bytes"]) for row in runs.values())
            cells.append((what, published, f"{errors:.1f} errors in {size:,} B, {len(runs)} seeds"))
    return table(("student", "published", "here"), cells)


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


TABLES = {
    "reached": reached,
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
