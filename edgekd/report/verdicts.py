"""Whether a stage paid, in words: what it was meant to save, whether it did, and what it cost.

A difference in accuracy counts when it is larger than one standard error of it, on the test set or over several seeds;
a difference in latency counts when every round of the measurement agreed on its sign.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from edgekd.report.units import signed
from edgekd.results import Quantity, accuracy_error

HERE = "on this host"


class Verdict(NamedTuple):
    """What stands in the ledger's last column."""

    paid: Literal["yes", "no", "partly", "unknown", "skipped"] | None
    because: str


def difference_error(one: float, other: float, samples: int) -> float:
    """One standard error of the difference of two accuracies on the same samples, taken as if they were independent.

    Two networks mostly err on the same samples, so this is on the careful side.
    """
    return math.hypot(accuracy_error(one, samples), accuracy_error(other, samples))


def distilled(
    accuracy: float,
    alone: float | None,
    samples: int,
    *,
    skipped: bool = False,
    each: Sequence[float] = (),
    each_alone: Sequence[float] = (),
) -> Verdict:
    """Against the same student, trained without the teacher; over several seeds where there are `each` and each_alone.

    Over several seeds the standard error is that of the mean of the paired differences; all of them answer the same
    test samples, so it says nothing of other samples.
    """
    if skipped:
        return Verdict("skipped", "from a checkpoint, not trained here")
    if alone is None:
        return Verdict("unknown", "the same student was not trained alone: --set distill.baseline=true")
    if len(each) > 1:
        return _over_seeds([one - other for one, other in zip(each, each_alone, strict=True)])
    gain, error = accuracy - alone, difference_error(accuracy, alone, samples)
    words = f"{signed(gain)} against the same student alone"
    if abs(gain) <= error:
        noise = f"standard error {error:.1f} on {samples:,} samples, one seed"
        return Verdict("unknown", f"{words}: within noise ({noise})")
    if gain < 0:
        return Verdict("no", f"{words}: the student is better without this teacher (standard error {error:.1f})")
    return Verdict("yes", f"{words} (standard error {error:.1f}, one seed)")


def _over_seeds(gains: Sequence[float]) -> Verdict:
    count, gain = len(gains), statistics.fmean(gains)
    error = statistics.stdev(gains) / math.sqrt(count)
    better, worse = sum(each > 0 for each in gains), sum(each < 0 for each in gains)
    words = f"{signed(gain)} against the same student alone (mean of {count} seeds, standard error {error:.2f}"
    if abs(gain) <= error:
        return Verdict("unknown", f"{words}): no difference that {count} seeds can show")
    if gain < 0:
        return Verdict("no", f"{words}, worse in {worse} of them): the student is better without this teacher")
    return Verdict("yes", f"{words}, better in {better} of them)")


def pruned(
    *,
    skipped: bool,
    macs_ratio: float | None,
    size_ratio: float,
    change: float,
    samples_error: float,
    latency: Quantity,
) -> Verdict:
    """Against the distilled student.

    Args:
        macs_ratio, size_ratio: what is left, as a share of the distilled student's.
        change: accuracy points gained; negative when lost. samples_error is one standard error of it.
        latency: time of one inference against the distilled student's, both in float.
    """
    if skipped:
        return Verdict("skipped", "nothing was cut: this is the distilled student")
    macs = f" and {_percent(macs_ratio)} of the MACs" if macs_ratio else ""
    saved = f"{_percent(size_ratio)} of the size{macs} left"
    if size_ratio >= 1 and (macs_ratio is None or macs_ratio >= 1):
        return Verdict("no", f"not smaller: {saved}")
    price = _price(change, samples_error)
    if latency.value is None:
        return Verdict("unknown", f"smaller yes ({saved}){price}; speed unknown: {latency.remedy}")
    times = f"{latency.value:.2f}x the distilled student's time {HERE}"
    match _speed(latency):
        case "faster":
            return _weigh("yes", f"smaller and faster: {saved}, {times}{price}", change, samples_error)
        case "slower":
            return _weigh("partly", f"smaller yes, speed no: slower, {times}; {saved}{price}", change, samples_error)
    return _weigh("partly", f"smaller yes, faster no: {times}, within noise; {saved}{price}", change, samples_error)


def int8(*, size_ratio: float, change: float, samples_error: float, latency: Quantity) -> Verdict:
    """Against the pruned student in float.

    Args:
        size_ratio: int8 file to float file.
        latency: time of one inference against the same network in float, on this host.
    """
    price = _price(change, samples_error)
    larger = f"not smaller ({_percent(size_ratio)} of the float file)"
    smaller = f"{1 / size_ratio:.1f}x smaller" if size_ratio < 1 else larger
    size_word = "yes" if size_ratio < 1 else "no"
    if latency.value is None:
        return Verdict("unknown", f"size {size_word}: {smaller}{price}; speed unknown: {latency.remedy}")
    times = f"{latency.value:.2f}x of float's time"
    match _speed(latency):
        case "faster" if size_ratio < 1:
            return _weigh("yes", f"{smaller} and faster: {times} {HERE}{price}", change, samples_error)
        case "faster":
            return _weigh("partly", f"size no: {smaller}, speed yes: {times} {HERE}{price}", change, samples_error)
        case "slower":
            speed = f"slower than float here, {times}"
        case _:
            speed = f"no faster than float here, {times}, within noise"
    paid: Literal["partly", "no"] = "partly" if size_ratio < 1 else "no"
    return _weigh(paid, f"size {size_word}, speed no: {smaller}, {speed}{price}", change, samples_error)


def in_other_formats(verdict: Verdict, ratios: Mapping[str, Quantity]) -> Verdict:
    """The int8 verdict, with the other formats whose int8 file is not faster than its float file.

    Args:
        ratios: file -> its time to that of the float file of its format, on this host.
    """
    paid, words = verdict
    for file, ratio in ratios.items():
        if ratio.value is None or _speed(ratio) == "faster":
            continue
        slower = _speed(ratio) == "slower"
        words += f"; but {file} is {'slower' if slower else 'no faster'} than its float file here, {ratio.value:.2f}x"
        words += "" if slower else ", within noise"
        paid = "partly" if paid == "yes" else paid
    return Verdict(paid, words)


def by_training(verdict: Verdict, *, ptq: float | None, qat: float | None, samples: int) -> Verdict:
    """The int8 verdict, with what training in the deployed arithmetic was worth.

    Args:
        ptq, qat: accuracy calibrated alone, and trained; None where that was not measured.
    """
    paid, words = verdict
    if qat is None:
        return Verdict(paid, f"{words}; calibrated, not trained (PTQ)")
    if ptq is None:
        return verdict
    noise = ", within noise" if abs(qat - ptq) <= difference_error(qat, ptq, samples) else ""
    return Verdict(paid, f"{words}; QAT {signed(qat - ptq)} over PTQ{noise}")


def _weigh(paid: Literal["yes", "partly", "no"], words: str, change: float, error: float) -> Verdict:
    """A stage that loses accuracy beyond noise has a price, so its `yes` is a `partly`."""
    return Verdict("partly" if paid == "yes" and change < -error else paid, words)


def _speed(latency: Quantity) -> Literal["faster", "slower", "same"]:
    assert latency.value is not None
    if abs(latency.value - 1) <= (latency.error or 0.0):
        return "same"
    return "faster" if latency.value < 1 else "slower"


def _price(change: float, error: float) -> str:
    if change < -error:
        return f"; costs {-change:.1f} points (standard error {error:.1f})"
    if change > error:
        return f"; gains {change:.1f} points"
    return ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
