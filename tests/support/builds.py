"""The results of a build, written by hand, for the tests of the report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.config import Config
from edgekd.results import (
    Boundary,
    ClassTransfer,
    Distillation,
    LatencyRow,
    LayerSimilarity,
    Measure,
    Measurements,
    OperatorRow,
    Quantity,
    Report,
    Spread,
    TaskWords,
)  # fmt: skip
from edgekd.stages.report import compose
from edgekd.tasks.classification import WORDS
from edgekd.tasks.classification.scoring import standard_error
from edgekd.tasks.classification.transfer import CONSISTENCY, REPEATED


def host(value: float, unit: str = "x", error: float = 0.01) -> Quantity:
    return Quantity(value=value, unit=unit, origin="measured-host", source="LiteRT; a CPU", error=error)


def percent(value: float) -> Quantity:
    return Quantity(value=value, unit="%", origin="measured-host", source="by hand", error=0.6)


def score(value: float) -> dict[str, float]:
    """Return a stage's score metrics on 360 test samples."""
    return {"score": value, "score_error": standard_error(value, 360)}


def metrics() -> dict[str, dict[str, Any]]:
    """Return the metrics of a build in which every stage succeeds."""
    return {
        "data": {
            "train": 1222,
            "validation": 215,
            "test": 360,
            "classes": list("0123456789"),
            "input_shape": [1, 8, 8],
        },
        "teacher": {**score(99.2), "parameters": 103_000, "trained": True, "processes": 1, "notes": []},
        "distill": {
            **score(98.9),
            **{f"baseline_{name}": value for name, value in score(96.5).items()},
            "parameters": 15_000,
            "processes": 2,
            "notes": ["a <note>"],
            "seeds": [0, 1, 2],
            "each_score": [98.9, 98.6, 98.9],
            "each_baseline_score": [96.5, 97.0, 96.9],
            "transfer": transfer(),
        },
        "prune": {**score(98.7), "parameters": 8_000, "skipped": False, "processes": 1, "notes": []},
        "quantize": {**score(98.6), "processes": 1, "notes": []},
        "export": {
            "macs": {"teacher": 3_100_000, "distilled": 900_000, "pruned": 400_000, "int8": 400_000},
            "parameters": {"teacher": 103_000, "distilled": 15_000, "pruned": 8_000, "int8": 8_000},
            "peak_ram_bytes": {"teacher": 65_536, "distilled": 32_768, "pruned": 24_576, "int8": 6_144},
            "notes": [],
        },
        "verify": {"passed": True},
    }


def transfer(**changes: Any) -> dict[str, Any]:
    """Return the transfer to three students from a teacher that takes a 9 for a 3; `changes` replace fields."""

    def spread(*each: float, unit: str = "%") -> Spread:
        mean = Quantity(value=sum(each) / len(each), unit=unit, origin="measured-host", source="3 seeds", error=0.2)
        return Spread(mean=mean, each=each)

    empty = Quantity(unit="%", remedy="too few")
    nine = {"samples": 36, "agreement": percent(92.0), "agreement_alone": percent(88.0), "by_chance": percent(4.0)}
    with_mistakes = {
        **nine,
        "mistakes": 12,
        "taken_for": "3",
        "repeated": percent(75.0),
        "repeated_alone": percent(25.0),
    }
    without_mistakes = {**nine, "mistakes": 0, "repeated": empty, "by_chance": empty}
    kappa = Quantity(value=0.6, unit="kappa", origin="measured-host")
    facts: dict[str, Any] = {
        "scheme": "offline",
        "losses": ("logits",),
        "epochs": 40,
        "baseline_epochs": 40,
        "seeds": (0, 1, 2),
        "samples": 360,
        "score": spread(98.9, 98.6, 98.9),
        "score_alone": spread(96.5, 97.0, 96.9),
        "score_teacher": percent(99.2),
        "agreement": spread(98.0, 98.2, 98.1),
        "agreement_alone": spread(96.0, 96.2, 96.1),
        "measures": (
            Measure(
                name="calibration error",
                remark="15 bins",
                meaning="Calibration error: in bins.",
                student=spread(1.0, 1.2, 1.1),
                alone=spread(2.0, 2.2, 2.1),
                teacher=percent(0.8),
                in_short=True,
            ),
            REPEATED.model_copy(
                update={
                    "student": spread(70.0, 75.0, 80.0),
                    "alone": spread(20.0, 25.0, 30.0),
                    "by_chance": percent(4.0),
                }
            ),
            CONSISTENCY.model_copy(update={"student": spread(0.6, 0.7, 0.8, unit="kappa")}),
        ),
        "layers": (LayerSimilarity(student="block1", teacher="layer1", distilled=spread(0.9, 0.9, 0.9, unit="CKA")),),
        "classes": (
            ClassTransfer(name="8 <&|>", consistency=empty, inherited=False, **without_mistakes),
            ClassTransfer(name="9", consistency=kappa, inherited=True, **with_mistakes),
        ),
    }
    return Distillation(**{**facts, **changes}).model_dump(mode="json")


def boundaries(**changes: Any) -> tuple[Boundary, ...]:
    """Return eight boundaries that agree; `changes` replace fields of the last one, the ONNX file."""
    proof = {
        "outputs": 3600,
        "differing": 0,
        "largest_steps": 0,
        "exact": True,
        "passed": True,
        "agreement": percent(100.0),
    }
    float_agreement = {"agreement": percent(99.1)}
    onnx = {**proof, "kernels": "onnxruntime 1.31.1 CPU kernels", **changes}
    return (
        Boundary(name="teacher", score=percent(99.2)),
        Boundary(name="distilled", score=percent(98.9), against="teacher", **float_agreement),
        Boundary(name="pruned", score=percent(98.7), against="distilled", **float_agreement),
        Boundary(name="simulation", score=percent(98.6), against="reference (xnnpack)", **proof),
        Boundary(name="reference (xnnpack)", score=percent(98.6), against="pruned", **float_agreement),
        Boundary(name="reference (onnxruntime)", score=percent(98.6), against="reference (xnnpack)", **float_agreement),
        Boundary(
            name="litert",
            score=percent(98.6),
            against="reference (xnnpack)",
            kernels="LiteRT 2.3.0 default kernels",
            **proof,
        ),
        Boundary(name="onnxruntime", score=percent(98.6), against="reference (onnxruntime)", **onnx),
    )


def measurements(pruned: Quantity | None = None, int8: Quantity | None = None) -> Measurements:
    """Return measurements with the latency ratios of the pruned student and of the int8 file to its float file."""
    unmeasured_latency = Quantity(
        unit="ms", remedy="edgekd does not measure devices yet: copy model.tflite there and time it"
    )
    pruned, int8 = pruned or host(0.71), int8 or host(0.62)
    operators = [
        OperatorRow(
            name=f"blocks.{i}.conv{j}",
            operator="depthwise 3x3 /2 + relu6" if j else "conv2d 1x1 + relu6",
            output_shape=(8 * (i + 1), 8 >> (i // 2), 8 >> (i // 2)),
            macs=40_000 * (i + 1) // (1 + 3 * j),
            parameters=800 * (i + 1),
            weight_bytes=800 * (i + 1) // (1 + 3 * j),
            output_bytes=512 * (5 - i),
        )
        for i in range(5)
        for j in range(2)
    ]
    operators.append(
        OperatorRow(
            name="add",
            operator="add + relu",
            output_shape=(8, 8, 8),
            macs=0,
            parameters=0,
            weight_bytes=0,
            output_bytes=512,
        )
    )

    def latency_row(file: str, ms: float, ratio: Quantity | None = None) -> LatencyRow:
        rounds = tuple(ms * factor for factor in (1.0, 1.08, 1.01, 1.22, 1.03))
        runtime = "LiteRT 2.3.0 default kernels (XNNPACK), 1 thread"
        return LatencyRow(
            file=file, runtime=runtime, latency=host(ms, "ms", 0.22 * ms), ratio_to_float=ratio, rounds_ms=rounds
        )

    return Measurements(
        operators=tuple(operators),
        latencies=(
            latency_row("stages/teacher.tflite", 0.412),
            latency_row("stages/distill.tflite", 0.101),
            latency_row("model_float.tflite", 0.073),
            latency_row("model.tflite", 0.045, int8),
            latency_row("model_float.onnx", 0.121),
            latency_row("model.onnx", 0.097, host(0.8)),
            LatencyRow(file="model.tflite", runtime="LiteRT on Raspberry Pi 4", latency=unmeasured_latency),
        ),
        stage_latency={"teacher": host(4.1), "distilled": host(1.0), "pruned": pruned, "int8": host(0.45)},
        device_latency=unmeasured_latency,
        machine={"cpu": "AMD EPYC", "cores": 2, "system": "Linux 6.1", "architecture": "x86_64"},
    )


SIZES = {
    "stages/teacher.tflite": 412_000,
    "stages/distill.tflite": 61_200,
    "model_float.tflite": 33_000,
    "model.tflite": 9_800,
    "model_float.onnx": 34_000,
    "model.onnx": 14_300,
}


def export_folder(folder: Path, sizes: Mapping[str, int] | None = None) -> Path:
    """Write an export folder with empty files of the right size."""
    for name, size in {**SIZES, **(sizes or {})}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes(size))
    return folder


def config(**limits: Any) -> Config:
    limit_values = {
        "size_bytes": 4_000_000,
        "peak_ram_bytes": 128_000_000,
        "latency_ms": 50.0,
        "score_drop": 1.0,
        **limits,
    }
    return Config.model_validate({"device": {"name": "rpi4", "title": "Raspberry Pi 4"}, "limits": limit_values})


def report(folder: Path, words: TaskWords = WORDS, **changes: Any) -> Report:
    """Compose a report; `changes` replace arguments of `compose`."""
    arguments: dict[str, Any] = {
        "metrics": metrics(),
        "boundaries": boundaries(),
        "measurements": measurements(),
        "export": export_folder(folder),
        "command": "edgekd build --target rpi4",
        "created": "2026-11-21T12:00:00+00:00",
    }
    return compose(config(), words, **{**arguments, **changes})
