"""`edgekd verify`: it verifies a finished build again, on the files that are in its folder now."""

from typing import Annotated

import typer

from edgekd.cli.options import ConfigFile, Debug, OutFolder, Settings, StoreFolder, TargetName, required_target


def verify(
    target: TargetName = None,
    config: ConfigFile = None,
    set_: Settings = None,
    out: OutFolder = None,
    store: StoreFolder = None,
    layers: Annotated[bool, typer.Option("--layers", help="List every layer, not those alone that differ.")] = False,
    debug: Debug = False,
) -> None:
    """Prove again that the files compute what was trained, layer by layer.

    Exits 5 if they do not.
    """
    from edgekd.pipeline import reverify
    from edgekd.report.units import in_full

    for row in reverify.verify(required_target(target, "verify"), config, set_ or (), out, store):
        differ = (
            "" if row.outputs is None else f"{row.differing:,} of {row.outputs:,} outputs differ from {row.against}"
        )
        score = "" if row.score.value is None else in_full(row.score.value, row.score.unit)
        gate = {True: "passed", False: "FAILED", None: ""}[row.passed]
        print(f"{row.name:24} {score:>9}  {gate:6}  {differ}".rstrip())
        for layer in row.layers:
            if layers or layer.differing:
                steps = f", by up to {layer.largest_steps} steps" if layer.differing else ""
                print(f"    {layer.layer} ({layer.operator}): {layer.differing:,} of {layer.outputs:,} differ{steps}")
