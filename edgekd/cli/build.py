"""`edgekd build`: it writes the files and the report for one target."""

from edgekd.cli.exits import is_main
from edgekd.cli.options import ConfigFile, Debug, OutFolder, Settings, StoreFolder, TargetName, required_target


def build(
    target: TargetName = None,
    config: ConfigFile = None,
    set_: Settings = None,
    out: OutFolder = None,
    store: StoreFolder = None,
    debug: Debug = False,
) -> None:
    """Make the files and the report for one target.

    What is finished is reused, so that the same command goes on from where it was interrupted.
    """
    from edgekd.config.resolve import configure
    from edgekd.pipeline.build import folders, judge, make
    from edgekd.report.pages import summary

    resolved = configure(required_target(target, "build"), config, set_ or ())
    report = make(resolved, out, store)
    if is_main():
        print(summary(report, folders(resolved, out, store)[0]), end="")
    judge(report)
