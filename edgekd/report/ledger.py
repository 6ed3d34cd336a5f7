"""The ledger: what each stage did to accuracy, size, MACs, memory and time, and whether that paid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd.catalog.formats import judged_format
from edgekd.catalog.forms import FORMS, Form, exported_formats
from edgekd.report import verdicts
from edgekd.report.verdicts import Verdict
from edgekd.results import Boundary, FormName, Measurements, Quantity, StageRow, accuracy_on

Metrics = Mapping[str, Any]


def rows(
    metrics: Mapping[str, Metrics], boundaries: Sequence[Boundary], measured: Measurements, export: Path
) -> tuple[StageRow, ...]:
    """The four rows, with what each stage changed and whether that paid."""
    samples = int(metrics["data"]["test"])
    accuracies: dict[FormName, Quantity] = {
        "teacher": _teacher_accuracy(metrics["teacher"], samples),
        "distilled": _accuracy(metrics["distill"]["accuracy"], "the torch model", samples),
        "pruned": _accuracy(metrics["prune"]["accuracy"], "the torch model", samples),
        "int8": _int8_accuracy(metrics, boundaries, samples),
    }
    parameters = {form.name: _parameters(metrics, form) for form in FORMS}
    sizes = {form.name: _size(metrics, form, parameters[form.name], export) for form in FORMS}
    judged = _verdicts(metrics, accuracies, sizes, measured, samples)
    ledger: list[StageRow] = []
    for form in FORMS:
        before = ledger[-1] if ledger else None
        paid, because = judged[form.name]
        score = accuracies[form.name]
        change = difference(score, before.accuracy, f"{form.name} less {before.stage}") if before else None
        ledger.append(
            StageRow(
                stage=form.name,
                accuracy=score,
                change=change,
                size=sizes[form.name],
                macs=_of_graph(metrics["export"], "macs", form, "MACs", "the captured graph"),
                parameters=parameters[form.name],
                peak_ram=_of_graph(metrics["export"], "peak_ram_bytes", form, "B", "memory plan"),
                latency_ratio=measured.stage_latency[form.name],
                paid=paid,
                because=because,
            )
        )
    return tuple(ledger)


def difference(one: Quantity, other: Quantity, source: str) -> Quantity:
    """Accuracy points between two rows."""
    if one.value is None or other.value is None:
        return Quantity(unit="points", remedy=one.remedy or other.remedy)
    return Quantity(value=_value(one) - _value(other), unit="points", origin="measured-host", source=source)


def _verdicts(
    metrics: Mapping[str, Metrics],
    accuracies: Mapping[FormName, Quantity],
    sizes: Mapping[FormName, Quantity],
    measured: Measurements,
    samples: int,
) -> dict[FormName, Verdict]:
    distilled, pruned, int8 = (_value(accuracies[form.name]) for form in FORMS[1:])
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
            macs_ratio=macs["pruned"] / macs["distilled"] if macs.get("pruned") and macs.get("distilled") else None,
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


def _size(metrics: Mapping[str, Metrics], form: Form, parameters: Quantity, export: Path) -> Quantity:
    """Of the form's file in the format that the limits are held to, or of its weights where it has none."""
    file = form.file(judged_format(exported_formats(export)))
    if (export / file).is_file():
        return Quantity(value=(export / file).stat().st_size, unit="B", origin="counted", source=file)
    external = metrics[form.stage].get("size_bytes")
    if external is not None:
        return Quantity(value=external, unit="B", origin="counted", source="the file that was brought along")
    if parameters.value is None:
        return Quantity(unit="B", remedy="teacher.file or a torch model: there is nothing here to weigh")
    source = "4 bytes for each parameter: it has no file"
    return Quantity(value=4 * _value(parameters), unit="B", origin="counted", source=source)


def _parameters(metrics: Mapping[str, Metrics], form: Form) -> Quantity:
    """Of the captured graph, batch norm folded; of the torch model where its graph could not be captured."""
    captured = metrics["export"]["parameters"].get(form.name)
    if captured is not None:
        return Quantity(value=captured, unit="parameters", origin="counted", source="the captured graph")
    trained = metrics[form.stage]["parameters"]
    if trained is None:
        return Quantity(unit="parameters", remedy="a torch model: what comes from outside is not looked into")
    return Quantity(value=trained, unit="parameters", origin="counted", source="the torch model")


def _of_graph(exported: Metrics, what: str, form: Form, unit: str, source: str) -> Quantity:
    value = (exported.get(what) or {}).get(form.name)
    if value is None:
        return Quantity(unit=unit, remedy=f"the {form.name} graph could not be captured: see the notes of export")
    return Quantity(value=value, unit=unit, origin="predicted" if source == "memory plan" else "counted", source=source)


def _value(figure: Quantity) -> float:
    if figure.value is None:
        raise ValueError(f"this figure is empty: {figure.remedy}")
    return figure.value
