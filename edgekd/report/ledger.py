"""The ledger: how each stage changed score, size, MACs, memory and latency, and whether that paid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd.catalog.formats import judged_format
from edgekd.catalog.forms import FORMS, Form, exported_formats
from edgekd.report import verdicts
from edgekd.report.verdicts import Verdict
from edgekd.results import Boundary, FormName, Measurements, Quantity, StageRow, TaskWords

Metrics = Mapping[str, Any]


def rows(
    words: TaskWords,
    metrics: Mapping[str, Metrics],
    boundaries: Sequence[Boundary],
    measurements: Measurements,
    export: Path,
) -> tuple[StageRow, ...]:
    """Return the four rows, with the change by each stage and whether it paid."""
    test = f"{int(metrics['data']['test']):,} test samples"
    scores: dict[FormName, Quantity] = {
        "teacher": _teacher_score(words, metrics["teacher"], test),
        "distilled": _score(words, metrics["distill"], f"the torch model on {test}"),
        "pruned": _score(words, metrics["prune"], f"the torch model on {test}"),
        "int8": _int8_score(words, metrics, boundaries, test),
    }
    parameters = {form.name: _parameters(metrics, form) for form in FORMS}
    sizes = {form.name: _size(metrics, form, parameters[form.name], export) for form in FORMS}
    verdict_of_form = _verdicts(words, metrics, scores, sizes, measurements)
    ledger: list[StageRow] = []
    for form in FORMS:
        previous = ledger[-1] if ledger else None
        paid, because = verdict_of_form[form.name]
        score = scores[form.name]
        change = difference(words, score, previous.score, f"{form.name} less {previous.stage}") if previous else None
        ledger.append(
            StageRow(
                stage=form.name,
                score=score,
                change=change,
                size=sizes[form.name],
                macs=_of_graph(metrics["export"], "macs", form, "MACs", "the captured graph"),
                parameters=parameters[form.name],
                peak_ram=_of_graph(metrics["export"], "peak_ram_bytes", form, "B", "memory plan"),
                latency_ratio=measurements.stage_latency[form.name],
                paid=paid,
                because=because,
            )
        )
    return tuple(ledger)


def difference(words: TaskWords, one: Quantity, other: Quantity, source: str) -> Quantity:
    """Return the difference of two scores."""
    if one.value is None or other.value is None:
        return Quantity(unit=words.difference, remedy=one.remedy or other.remedy)
    return Quantity(value=one.value - other.value, unit=words.difference, origin="measured-host", source=source)


def drop(words: TaskWords, teacher: Quantity, int8: Quantity) -> Quantity:
    """Return by how much the int8 network's score is worse than the teacher's."""
    if words.higher_is_better:
        return difference(words, teacher, int8, "teacher less int8")
    return difference(words, int8, teacher, "int8 less teacher")


def _verdicts(
    words: TaskWords,
    metrics: Mapping[str, Metrics],
    scores: Mapping[FormName, Quantity],
    sizes: Mapping[FormName, Quantity],
    measurements: Measurements,
) -> dict[FormName, Verdict]:
    distill, macs = metrics["distill"], metrics["export"]["macs"]
    ratios = {row.file: row.ratio_to_float for row in measurements.latencies if row.ratio_to_float is not None}
    shipped, unknown = sizes["int8"].source, Quantity(unit="x", remedy="its float baseline was not timed")
    baseline = {key: distill.get(f"baseline_{key}") for key in ("score", "score_error")}
    return {
        "teacher": Verdict(None, _origin_of(metrics["teacher"])),
        "distilled": verdicts.distilled(
            words,
            scores["distilled"],
            None if baseline["score"] is None else _score(words, baseline, "the same student alone"),
            int(metrics["data"]["test"]),
            skipped=bool(distill.get("skipped")),
            each=distill.get("each_score") or (),
            each_alone=distill.get("each_baseline_score") or (),
        ),
        "pruned": verdicts.pruned(
            words,
            skipped=bool(metrics["prune"].get("skipped")),
            macs_ratio=macs["pruned"] / macs["distilled"] if macs.get("pruned") and macs.get("distilled") else None,
            size_ratio=_value(sizes["pruned"]) / _value(sizes["distilled"]),
            gain=words.gain(_value(scores["pruned"]), _value(scores["distilled"])),
            samples_error=verdicts.difference_error(scores["pruned"], scores["distilled"]),
            latency=measurements.stage_latency["pruned"],
        ),
        "int8": verdicts.by_training(
            words,
            verdicts.in_other_formats(
                verdicts.int8(
                    words,
                    size_ratio=_value(sizes["int8"]) / _value(sizes["pruned"]),
                    gain=words.gain(_value(scores["int8"]), _value(scores["pruned"])),
                    samples_error=verdicts.difference_error(scores["int8"], scores["pruned"]),
                    latency=ratios.pop(shipped, unknown),
                ),
                ratios,
            ),
            **_methods(words, metrics["quantize"]),
        ),
    }


def _methods(words: TaskWords, metrics: Metrics) -> dict[str, Quantity | None]:
    """Return the simulation's score without training ("ptq") and with it ("qat"), as far as each was measured."""
    ptq, is_trained = metrics.get("ptq"), metrics.get("method") != "ptq"
    return {
        "ptq": _score(words, ptq, "the calibrated simulation") if ptq else None,
        "qat": _score(words, metrics, "the trained simulation") if is_trained else None,
    }


def _teacher_score(words: TaskWords, teacher: Metrics, test: str) -> Quantity:
    """Return the score of the teacher or of several combined; it is empty if only training samples have outputs."""
    if teacher["score"] is None:
        return Quantity(unit=words.unit, remedy=teacher["score_remedy"])
    return _score(words, teacher, f"{'its answers' if teacher.get('members') else 'the torch model'} on {test}")


def _score(words: TaskWords, metrics: Metrics, source: str) -> Quantity:
    """Return the score in a stage's metrics."""
    value, error = metrics["score"], metrics["score_error"]
    return Quantity(value=value, unit=words.unit, origin="measured-host", source=source, error=error)


def _int8_score(
    words: TaskWords, metrics: Mapping[str, Metrics], boundaries: Sequence[Boundary], test: str
) -> Quantity:
    for boundary in boundaries:
        if boundary.name.startswith("reference") and boundary.score.value is not None:
            return boundary.score.model_copy(update={"source": f"the integer {boundary.name} on {test}"})
    return _score(words, metrics["quantize"], f"the trained simulation on {test}")


def _origin_of(teacher: Metrics) -> str:
    members = teacher.get("members") or ()
    several = f"{len(members)} teachers that answer as one, " if len(members) > 1 else ""
    if teacher.get("trained", True):
        return f"{several}trained here"
    return several + ("not trained here" if members else "from a checkpoint, not trained here")


def _size(metrics: Mapping[str, Metrics], form: Form, parameters: Quantity, export: Path) -> Quantity:
    """Return the size of the form's file in the format that the limits apply to, or of its weights if it has none."""
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
    """Count the parameters of the captured graph (batch norm folded), or else of the torch model."""
    count = metrics["export"]["parameters"].get(form.name)
    if count is not None:
        return Quantity(value=count, unit="parameters", origin="counted", source="the captured graph")
    model_count = metrics[form.stage]["parameters"]
    if model_count is None:
        return Quantity(unit="parameters", remedy="a torch model: what comes from outside is not looked into")
    return Quantity(value=model_count, unit="parameters", origin="counted", source="the torch model")


def _of_graph(metrics: Metrics, key: str, form: Form, unit: str, source: str) -> Quantity:
    value = (metrics.get(key) or {}).get(form.name)
    if value is None:
        return Quantity(unit=unit, remedy=f"the {form.name} graph could not be captured: see the notes of export")
    return Quantity(value=value, unit=unit, origin="predicted" if source == "memory plan" else "counted", source=source)


def _value(quantity: Quantity) -> float:
    if quantity.value is None:
        raise ValueError(f"this figure is empty: {quantity.remedy}")
    return quantity.value
