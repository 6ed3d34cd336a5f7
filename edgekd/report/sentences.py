"""The report's sentences, worded once for the terminal, the Markdown and the HTML page."""

from edgekd.catalog.runtimes import ROUNDINGS, RUNTIMES
from edgekd.report.units import UNKNOWN, amount, text
from edgekd.results import Boundary, EmulatedRow, LimitRow, Quantity, Report, TaskWords


def title(report: Report) -> str:
    """Return the title: "rpi4 · digits · seed 0"."""
    return f"{report.target.get('name', '')} · {report.data.get('name', '')} · seed {report.seed}"


def boundary_name(name: str) -> str:
    """Return a boundary's name with the runtimes' official titles."""
    if name == "simulation":
        return "trained simulation"
    if name in RUNTIMES:
        return RUNTIMES[name].title
    references = {f"reference ({mode})": f"reference as {rounding.title}" for mode, rounding in ROUNDINGS.items()}
    return references.get(name, name)


def parity(report: Report) -> str:
    """Say how many integer outputs differ at each boundary of the proof."""
    failed = [_failure(row) for row in report.boundaries if row.passed is False]
    if report.emulated and report.emulated.differing:
        failed.append(emulated_parity(report.emulated))
    if failed:
        return "FAILED: " + "; ".join(failed)
    proof = [row for row in report.boundaries if row.exact and row.outputs]
    if not proof:
        return "no integer boundary was compared"
    counts = {row.outputs for row in proof}
    if len(counts) == 1:
        counts_of_boundaries = ", ".join(f"{boundary_name(row.name)} {row.differing:,}" for row in proof)
        return (
            f"outputs that differ from the integer reference: {counts_of_boundaries}, of {counts.pop():,} each"
            + _layers(proof)
        )
    counts_of_boundaries = ", ".join(f"{boundary_name(row.name)} {_of(row)}" for row in proof)
    return f"outputs that differ from the integer reference: {counts_of_boundaries}" + _layers(proof)


def _layers(proof: list[Boundary]) -> str:
    """Return the end of the sentence: "; layers that differ: 0 of 12 in LiteRT, 0 of 12 in onnxruntime"."""
    counts = [
        f"{sum(layer.differing > 0 for layer in row.layers)} of {len(row.layers)} in {boundary_name(row.name)}"
        for row in proof
        if row.layers
    ]
    return f"; layers that differ: {', '.join(counts)}" if counts else ""


def limit_name(limit: str, words: TaskWords) -> str:
    """Return a limit's name for readers; a drop in score has the task's name of the score and its worse direction."""
    if limit != "score drop":
        return limit
    return f"{words.score} {'drop' if words.higher_is_better else 'rise'}"


def limit(row: LimitRow, words: TaskWords) -> str:
    """Describe a limit: "size 9.8 kB of 4 MB", or that it is missed."""
    name = limit_name(row.limit, words)
    if row.reached.value is None:
        return f"{name} {UNKNOWN} ({amount(_allowed(row), row.allowed.unit)} allowed)"
    reached, allowed = (amount(value, row.allowed.unit) for value in (row.reached.value, _allowed(row)))
    if row.allowed.unit == "points":
        reached = reached.removesuffix(" points")
    return f"MISSED: {row.miss}" if row.met is False else f"{name} {reached} of {allowed}"


def device(report: Report) -> str:
    """Return the latency on the device, or the command that would measure it."""
    rows = [row for row in report.latencies if row.latency.origin != "measured-host"]
    return "; ".join(f"latency of {row.file} {text(row.latency)}" + _remedy(row.latency) for row in rows)


def emulated(row: EmulatedRow) -> str:
    """0.6 M instructions (emulated), 2.1 for each MAC; flash 14.2 kB, RAM 6.9 kB, of which stack 0.2 kB; parity."""
    per_mac = f", {row.instructions_per_mac.value:.2f} for each MAC" if row.instructions_per_mac.value else ""
    memory = f"flash {text(row.flash)}, RAM {text(row.ram)}, {text(row.stack)} of them stack"
    return f"{text(row.instructions)} (emulated){per_mac}; {memory}; {emulated_parity(row)}"


def emulated_parity(row: EmulatedRow) -> str:
    """0 of 80 outputs of model.c differ from the integer reference."""
    return f"{row.differing:,} of {row.outputs:,} outputs of {row.file} on the emulated core differ from the reference"


def standing(row: LimitRow) -> str:
    """Return "met", "missed" or "unknown"."""
    return {True: "met", False: "missed", None: UNKNOWN}[row.met]


def first_difference(row: Boundary) -> str:
    """Name the first layer at which a failed boundary differs from the one before it."""
    if row.first_difference is None:
        return ""
    layer = row.first_difference
    count = f"{layer.differing:,} of {layer.outputs:,}"
    return f"first at {layer.layer} ({layer.operator}): {count}, up to {_steps(layer.largest_steps)}"


def capital(text: str) -> str:
    """Capitalise the first letter of a sentence and no other."""
    return text[:1].upper() + text[1:]


def training(report: Report) -> str:
    """Say how many processes trained each stage: "teacher 1 process, distill 2 processes"."""
    parts = []
    for stage, metrics in report.training.items():
        processes = metrics.get("processes")
        if processes and metrics.get("trained") is not False:
            parts.append(f"{stage} {processes} process" + ("es" if processes > 1 else ""))
    return ", ".join(parts)


def machine(report: Report) -> str:
    """Describe the host: "AMD EPYC, 2 cores, Linux 6.1, x86_64"."""
    facts = report.machine
    cores = f"{facts['cores']} cores" if facts.get("cores") else ""
    parts = (facts.get("cpu"), cores, facts.get("system"), facts.get("architecture"))
    return ", ".join(str(part) for part in parts if part)


def _remedy(quantity: Quantity) -> str:
    return f": {quantity.remedy}" if quantity.value is None else f" ({quantity.origin})"


def _failure(row: Boundary) -> str:
    if not row.differing:
        return f"{boundary_name(row.name)} gives the same answer to every sample"
    other = boundary_name(row.against or "the reference")
    words = f"{boundary_name(row.name)} differs from {other} in {_of(row)} outputs"
    steps = f", by up to {_steps(row.largest_steps)}" if row.largest_steps else ""
    layer = first_difference(row)
    return words + steps + (f", {layer}" if layer else "")


def _of(row: Boundary) -> str:
    return f"{row.differing or 0:,} of {row.outputs or 0:,}"


def _steps(steps: int) -> str:
    return f"{steps:,} step" + ("s" if steps != 1 else "")


def _allowed(row: LimitRow) -> float:
    return row.allowed.value or 0.0
