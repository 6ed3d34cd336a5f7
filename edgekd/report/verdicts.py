"""Verdicts on whether a stage paid: what it should save, whether it did, and what it cost.

A difference in score counts if it is larger than its standard error, on the test set or over several seeds. A
difference in latency counts if every round of the measurement agrees on its sign.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from edgekd.report.units import bare, signed
from edgekd.results import Quantity, TaskWords

HERE = "on this host"


class Verdict(NamedTuple):
    """The verdict in the ledger's last column, and the reason for it."""

    paid: Literal["yes", "no", "partly", "unknown", "skipped"] | None
    because: str


def difference_error(one: Quantity, other: Quantity) -> float:
    """Return the standard error of the difference of two scores, as if their samples were independent.

    Two networks mostly err on the same samples, so this estimate is conservative.
    """
    return math.hypot(one.error or 0.0, other.error or 0.0)


def distilled(
    words: TaskWords,
    score: Quantity,
    alone: Quantity | None,
    samples: int,
    *,
    skipped: bool = False,
    each: Sequence[float] = (),
    each_alone: Sequence[float] = (),
) -> Verdict:
    """Compare the student with the same student trained without the teacher.

    With several seeds the standard error is that of the mean of the paired differences. All seeds are scored on the
    same test samples, so it does not cover the choice of samples.

    Args:
        score: the score of the shipped student.
        alone: the score of the same student trained without the teacher.
        samples: the number of test samples.
        each, each_alone: the scores at each seed, with the teacher and without.
    """
    if skipped:
        return Verdict("skipped", "from a checkpoint, not trained here")
    if alone is None or alone.value is None or score.value is None:
        return Verdict("unknown", "the same student was not trained alone: --set distill.baseline=true")
    if len(each) > 1:
        return _over_seeds(words, each, each_alone)
    unit, gain, error = words.difference, words.gain(score.value, alone.value), difference_error(score, alone)
    text = f"{signed(score.value - alone.value, unit)} against the same student alone"
    if abs(gain) <= error:
        noise = f"standard error {bare(error, unit)} on {samples:,} samples, one seed"
        return Verdict("unknown", f"{text}: within noise ({noise})")
    if gain < 0:
        better = f"the student is better without this teacher (standard error {bare(error, unit)})"
        return Verdict("no", f"{text}: {better}")
    return Verdict("yes", f"{text} (standard error {bare(error, unit)}, one seed)")


def _over_seeds(words: TaskWords, each: Sequence[float], each_alone: Sequence[float]) -> Verdict:
    gains = [words.gain(one, other) for one, other in zip(each, each_alone, strict=True)]
    change = statistics.fmean(one - other for one, other in zip(each, each_alone, strict=True))
    count, gain, unit = len(gains), statistics.fmean(gains), words.difference
    error = statistics.stdev(gains) / math.sqrt(count)
    better, worse = sum(value > 0 for value in gains), sum(value < 0 for value in gains)
    spread = f"mean of {count} seeds, standard error {bare(error, unit, 2)}"
    text = f"{signed(change, unit)} against the same student alone ({spread}"
    if abs(gain) <= error:
        return Verdict("unknown", f"{text}): no difference that {count} seeds can show")
    if gain < 0:
        return Verdict("no", f"{text}, worse in {worse} of them): the student is better without this teacher")
    return Verdict("yes", f"{text}, better in {better} of them)")


def pruned(
    words: TaskWords,
    *,
    skipped: bool,
    macs_ratio: float | None,
    size_ratio: float,
    gain: float,
    samples_error: float,
    latency: Quantity,
) -> Verdict:
    """Compare the pruned student with the distilled one.

    Args:
        macs_ratio, size_ratio: the MACs and the size that remain, as a share of the distilled student's.
        gain: by how much the score is better; negative when it is worse. samples_error is one standard error of it.
        latency: time of one inference against the distilled student's, both in float.
    """
    if skipped:
        return Verdict("skipped", "nothing was cut: this is the distilled student")
    macs = f" and {_percent(macs_ratio)} of the MACs" if macs_ratio else ""
    remaining = f"{_percent(size_ratio)} of the size{macs} left"
    if size_ratio >= 1 and (macs_ratio is None or macs_ratio >= 1):
        return Verdict("no", f"not smaller: {remaining}")
    cost = _cost(words, gain, samples_error)
    if latency.value is None:
        return Verdict("unknown", f"smaller yes ({remaining}){cost}; speed unknown: {latency.remedy}")
    times = f"{latency.value:.2f}x the distilled student's time {HERE}"
    match _speed(latency):
        case "faster":
            return _verdict("yes", f"smaller and faster: {remaining}, {times}{cost}", gain, samples_error)
        case "slower":
            return _verdict("partly", f"smaller yes, speed no: slower, {times}; {remaining}{cost}", gain, samples_error)
    return _verdict("partly", f"smaller yes, faster no: {times}, within noise; {remaining}{cost}", gain, samples_error)


def int8(words: TaskWords, *, size_ratio: float, gain: float, samples_error: float, latency: Quantity) -> Verdict:
    """Compare the int8 network with the pruned student in float.

    Args:
        size_ratio: the size of the int8 file as a share of the float file's.
        gain, samples_error: as for `pruned`.
        latency: time of one inference against the same network in float, on this host.
    """
    cost = _cost(words, gain, samples_error)
    larger = f"not smaller ({_percent(size_ratio)} of the float file)"
    smaller = f"{1 / size_ratio:.1f}x smaller" if size_ratio < 1 else larger
    size_word = "yes" if size_ratio < 1 else "no"
    if latency.value is None:
        return Verdict("unknown", f"size {size_word}: {smaller}{cost}; speed unknown: {latency.remedy}")
    times = f"{latency.value:.2f}x of float's time"
    match _speed(latency):
        case "faster" if size_ratio < 1:
            return _verdict("yes", f"{smaller} and faster: {times} {HERE}{cost}", gain, samples_error)
        case "faster":
            return _verdict("partly", f"size no: {smaller}, speed yes: {times} {HERE}{cost}", gain, samples_error)
        case "slower":
            speed = f"slower than float here, {times}"
        case _:
            speed = f"no faster than float here, {times}, within noise"
    paid: Literal["partly", "no"] = "partly" if size_ratio < 1 else "no"
    return _verdict(paid, f"size {size_word}, speed no: {smaller}, {speed}{cost}", gain, samples_error)


def in_other_formats(verdict: Verdict, ratios: Mapping[str, Quantity]) -> Verdict:
    """Add to the int8 verdict the other formats whose int8 file is not faster than its float file.

    Args:
        ratios: the ratio of each file's latency to that of the float file of its format, on this host.
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


def by_training(words: TaskWords, verdict: Verdict, *, ptq: Quantity | None, qat: Quantity | None) -> Verdict:
    """Add to the int8 verdict the effect of quantisation-aware training.

    Args:
        ptq, qat: the scores of the calibrated and of the trained simulation; None where they were not measured.
    """
    paid, text = verdict
    if qat is None or qat.value is None:
        return Verdict(paid, f"{text}; calibrated, not trained (PTQ)")
    if ptq is None or ptq.value is None:
        return verdict
    change = qat.value - ptq.value
    noise = ", within noise" if abs(change) <= difference_error(qat, ptq) else ""
    return Verdict(paid, f"{text}; QAT {signed(change, words.difference)} over PTQ{noise}")


def _verdict(paid: Literal["yes", "partly", "no"], text: str, gain: float, error: float) -> Verdict:
    """Return the verdict; a stage whose score is worse beyond noise has a cost, so its `yes` becomes a `partly`."""
    return Verdict("partly" if paid == "yes" and gain < -error else paid, text)


def _speed(latency: Quantity) -> Literal["faster", "slower", "same"]:
    assert latency.value is not None
    if abs(latency.value - 1) <= (latency.error or 0.0):
        return "same"
    return "faster" if latency.value < 1 else "slower"


def _cost(words: TaskWords, gain: float, error: float) -> str:
    unit = words.difference
    if gain < -error:
        return f"; costs {bare(-gain, unit)} {unit} (standard error {bare(error, unit)})"
    if gain > error:
        return f"; gains {bare(gain, unit)} {unit}"
    return ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
