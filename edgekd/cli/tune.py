"""`edgekd tune`: it searches the settings of the distillation."""

from typing import Annotated

import typer

from edgekd.cli.options import ConfigFile, Debug, OutFolder, Settings, StoreFolder, TargetName, required_target


def tune(
    target: TargetName = None,
    trials: Annotated[int, typer.Option("--trials", min=1, help="Of the study in all, over all its processes.")] = 30,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", help="Begin no trial after so long.")
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option("--search", metavar="KEY=LOW:HIGH[:log]", help="Or KEY=[VALUE, ...]; may be repeated."),
    ] = None,
    storage: Annotated[
        str | None, typer.Option("--storage", metavar="URL", help="Of the study; SQLite in the store by default.")
    ] = None,
    study: Annotated[str | None, typer.Option("--study", metavar="NAME", help="To be made or continued.")] = None,
    config: ConfigFile = None,
    set_: Settings = None,
    out: OutFolder = None,
    store: StoreFolder = None,
    debug: Debug = False,
) -> None:
    """Search the settings of the distillation, on validation data alone.

    The same command continues an interrupted study; several processes of it share the study.
    """
    from edgekd.tuning import tune

    result, folder = tune.tune(
        required_target(target, "tune"), config, set_ or (), out, store, trials=trials, timeout=timeout,
        searches=search or (), storage=storage, study=study,
    )  # fmt: skip
    print(tune.summary(result, folder), end="")
