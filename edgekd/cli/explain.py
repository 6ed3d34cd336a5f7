"""`edgekd explain`: it says which stages a build would reuse and which it would run, and why."""

from edgekd.cli.options import ConfigFile, Debug, Settings, StoreFolder, TargetName, required_target


def explain(
    target: TargetName = None,
    config: ConfigFile = None,
    set_: Settings = None,
    store: StoreFolder = None,
    debug: Debug = False,
) -> None:
    """Say which stages a build would run, and why, without running any."""
    from edgekd.config.resolve import configure
    from edgekd.pipeline.explain import outcomes

    for outcome in outcomes(configure(required_target(target, "explain"), config, set_ or ()), store):
        print(f"{outcome.stage:9} {outcome.says}")
