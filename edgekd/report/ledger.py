"""The ledger: what each stage did to accuracy, size, MACs, memory and time, and whether that paid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from edgekd.report import verdicts
from edgekd.report.verdicts import Verdict
from edgekd.results import Boundary, Measurements, Quantity, StageRow, accuracy_on

Metrics = Mapping[str, Any]
Row = Literal["teacher", "distilled", "pruned", "int8"]

# The name of each row, and the name under which its stage and its figures stand in the other stages' metrics.
ROWS: tuple[tuple[Row, str], ...] = (
    ("teacher", "teacher"),
    ("distilled", "distill"),
    ("pruned", "prune"),
    ("int8", "int8"),
)


def rows(
    metrics: Mapping[str, Metrics], boundaries: Sequence[Boundary], measured: Measurements, export: Path
) -> tuple[StageRow, ...]:
    """The four rows, with what each stage changed and whether that paid."""
    samples = int(metrics["data"]["test"])
    accuracies: dict[Row, Quantity] = {
        "teacher": _teacher_accuracy(metrics["teacher"], samples),
        "distilled": _accuracy(metrics["distill"]["accuracy"], "the torch model", samples),
        "pruned": _accuracy(metrics["prune"]["accuracy"], "the torch model", samples),
        "int8": _int8_accuracy(metrics, boundaries, samples),
    }
    parameters = {stage: _parameters(metrics, name) for stage, name in ROWS}
    brought = metrics["teacher"].get("size_bytes")
    sizes = {
        stage: _size(stage, brought if name == "teacher" else None, name, parameters[stage], export)
        for stage, name in ROWS
    }
    judged = _verdicts(metrics, accuracies, sizes, measured, samples)
    found: list[StageRow] = []
    for stage, name in ROWS:
        before = found[-1] if found else None
        paid, because = judged[stage]
        found.append(
            StageRow(
                stage=stage,
                accuracy=accuracies[stage],
                change=difference(accuracies[stage], before.accuracy, f"{stage} less {before.stage}")
                if before
                else None,
                size=sizes[stage],
                macs=_of_graph(metrics["export"], "macs", name, "MACs", "the captured graph"),
                parameters=parameters[stage],
                peak_ram=_of_graph(metrics["export"], "peak_ram_bytes", name, "B", "memory plan"),
                latency_ratio=measured.stage_latency[stage],
                paid=paid,
                because=because,
            )
        )
    return tuple(found)


def difference(one: Quantity, other: Quantity, source: str) -> Quantity:
    """Accuracy points between two rows."""
    if one.value is None or other.value is None:
        return Quantity(unit="points", remedy=one.remedy or other.remedy)
    return Quantity(value=_value(one) - _value(other), unit="points", origin="measured-host", source=source)


def _verdicts(
    metrics: Mapping[str, Metrics],
    accuracies: Mapping[Row, Quantity],
    sizes: Mapping[Row, Quantity],
    measured: Measurements,
    samples: int,
) -> dict[Row, Verdict]:
    distilled, pruned, int8 = (_value(accuracies[stage]) for stage, _ in ROWS[1:])
    macs = metrics["export"]["macs"]
    ratios = {row.file: row.ratio_to_float for row in measured.latencies if row.ratio_to_float is not None}
    shipped, unknown = sizes["int8"].source, Quantity(unit="x", remedy="its float baseline was not timed")
    return {
        "teacher": Verdict(None, _origin_of(metrics["teacher"])),
        "distilled": verdicts.distilled(
            distilled,
            metrics["distill"].get("baseline_accuracy"),
            samples,
            skipped=bool(metrics["distill"].get("skipped")),
            each=metrics["distill"].get("each_accuracy") or (),
            each_alone=metrics["distill"].get("each_baseline_accuracy") or (),
        ),
        "pruned": verdicts.pruned(
            skipped=bool(metrics["prune"].get("skipped")),
            macs_ratio=macs["prune"] / macs["distill"] if macs.get("prune") and macs.get("distill") else None,
            size_ratio=_value(sizes["pruned"]) / _value(sizes["distilled"]),
            change=pruned - distilled,
            samples_error=verdicts.difference_error(pruned, distilled, samples),
            latency=measured.stage_latency["pruned"],
        ),
        "int8": verdicts.by_training(
            verdicts.in_other_formats(
                verdicts.int8(
                    size_ratio=_value(sizes["int8"]) / _value(sizes["pruned"]),
                    change=int8 - pruned,
                    samples_error=verdicts.difference_error(int8, pruned, samples),
                    latency=ratios.pop(shipped, unknown),
                ),
                ratios,
            ),
            **_methods(metrics["quantize"]),
            samples=samples,
        ),
    }


def _methods(quantized: Metrics) -> dict[str, float | None]:
    """What the simulation reached without training ("ptq") and with it ("qat"), as far as each was measured."""
    ptq = (quantized.get("ptq") or {}).get("accuracy")
    return {"ptq": ptq, "qat": None if quantized.get("method") == "ptq" else quantized["accuracy"]}


def _teacher_accuracy(teacher: Metrics, samples: int) -> Quantity:
    """Of what answers: a network, or several teachers as one; unknown where only training samples were answered."""
    if teacher["accuracy"] is None:
        return Quantity(unit="%", remedy="test_logits or test_probabilities in the file of teacher.answers")
    return _accuracy(teacher["accuracy"], "its answers" if teacher.get("members") else "the torch model", samples)


def _origin_of(teacher: Metrics) -> str:
    members = teacher.get("members") or ()
    several = f"{len(members)} teachers that answer as one, " if len(members) > 1 else ""
    if teacher.get("trained", True):
        return f"{several}trained here"
    return several + ("not trained here" if members else "from a checkpoint, not trained here")


def _accuracy(value: float, of: str, samples: int) -> Quantity:
    return accuracy_on(value, samples, f"{of} on {samples:,} test samples")


def _int8_accuracy(metrics: Mapping[str, Metrics], boundaries: Sequence[Boundary], samples: int) -> Quantity:
    for boundary in boundaries:
        if boundary.name.startswith("reference") and boundary.accuracy.value is not None:
            return _accuracy(boundary.accuracy.value, f"the integer {boundary.name}", samples)
    return _accuracy(metrics["quantize"]["accuracy"], "the trained simulation", samples)


def _size(stage: str, brought: int | None, name: str, parameters: Quantity, export: Path) -> Quantity:
    """Of the stage's file in the format that the target runs, or of its weights where it has none."""
    kind = next(kind for kind in ("tflite", "onnx") if (export / f"model.{kind}").is_file())
    files = {"pruned": f"model_float.{kind}", "int8": f"model.{kind}"}
    file = files.get(stage, f"stages/{name}.{kind}")
    if (export / file).is_file():
        return Quantity(value=(export / file).stat().st_size, unit="B", origin="counted", source=file)
    if brought is not None:
        return Quantity(value=brought, unit="B", origin="counted", source="the file that was brought along")
    if parameters.value is None:
        return Quantity(unit="B", remedy="teacher.file or a torch model: there is nothing here to weigh")
    source = "4 bytes for each parameter: it has no file"
    return Quantity(value=4 * _value(parameters), unit="B", origin="counted", source=source)


def _parameters(metrics: Mapping[str, Metrics], name: str) -> Quantity:
    """Of the captured graph, batch norm folded; of the torch model where its graph could not be captured."""
    captured = metrics["export"]["parameters"].get(name)
    if captured is not None:
        return Quantity(value=captured, unit="parameters", origin="counted", source="the captured graph")
    if metrics[name]["parameters"] is None:
        return Quantity(unit="parameters", remedy="a torch model: what comes from outside is not looked into")
    return Quantity(value=metrics[name]["parameters"], unit="parameters", origin="counted", source="the torch model")


def _of_graph(exported: Metrics, what: str, name: str, unit: str, source: str) -> Quantity:
    value = (exported.get(what) or {}).get(name)
    if value is None:
        return Quantity(unit=unit, remedy=f"the {name}'s graph could not be captured: see the notes of export")
    return Quantity(value=value, unit=unit, origin="predicted" if source == "memory plan" else "counted", source=source)


def _value(figure: Quantity) -> float:
    if figure.value is None:
        raise ValueError(f"this figure is empty: {figure.remedy}")
    return figure.value
