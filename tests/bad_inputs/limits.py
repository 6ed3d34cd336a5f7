"""Bad inputs whose limits can't be met."""

from support.faults import file

from bad_inputs.row import BUILD, CHECK, bad

LIMITS = (
    bad("a size that can't be met", f"{CHECK} --set limits.size_bytes=100", "over budget before training: size", 3),
    bad(
        "a size that pruning can't meet", f"{BUILD} --set limits.size_bytes=100 --set prune.until=limits",
        "even cut to its narrowest, the student does not fit", 3,
    ),
    bad("a size that is missed", f"{BUILD} --set limits.size_bytes=1000", "over budget: size", 3),
    bad(
        "a score drop that is missed", f"{BUILD} --set limits.score_drop=0 --set teacher.epochs=5",
        "over budget: accuracy drop", 3,
    ),
    bad(
        "limits that are none", "build --target ./t.toml --set prune.until=limits",
        "sets no limit on size or RAM", 2,
        file("t.toml", "[device]"),
    ),
)  # fmt: skip
