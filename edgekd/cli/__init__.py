"""The command line: reads what was typed, and calls the function of the same name."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from edgekd import __version__
from edgekd.cli.exits import CommandGroup, guarded, is_main, say
from edgekd.errors import ConfigError, MissingExtraError

app = typer.Typer(
    name="edgekd",
    help="Turn a trained network into one that fits a small device, and prove that it still works there.",
    cls=CommandGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

TargetName = Annotated[str | None, typer.Option("--target", metavar="NAME", help="A target's name, or its TOML file.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings; edgekd.toml by default.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one setting; may be repeated.")
]
OutFolder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="For the files; build/<target> by default.")
]
StoreFolder = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", help="Of finished work; .edgekd by default.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Turn a trained network into one that fits a small device, and prove that it still works there."""
    if version:
        print(f"edgekd {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        say(context.get_help())
        raise typer.Exit(ConfigError.exit_code)


@app.command()
@guarded
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
    from edgekd.pipeline import build as pipeline

    resolved = configure(_named(target, "build"), config, set_ or ())
    report = pipeline.make(resolved, out, store)
    if is_main():
        _show(report, pipeline.folders(resolved, out, store)[0])
    pipeline.judge(report)


@app.command()
@guarded
def check(
    target: TargetName = None,
    config: ConfigFile = None,
    set_: Settings = None,
    layers: Annotated[bool, typer.Option("--layers", help="List the student's operators by name.")] = False,
    debug: Debug = False,
) -> None:
    """Say before any training whether a build can succeed."""
    from edgekd.config.resolve import configure
    from edgekd.pipeline import check as forecast

    found = forecast.examine(configure(_named(target, "check"), config, set_ or ()))
    for finding in found.findings:
        print(f"{finding.verdict:5} {finding.what:10} {finding.says}")
    for operator in found.operators if layers else ():
        print(f"      {operator}")
    forecast.judge(found)


@app.command()
@guarded
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
    from edgekd.pipeline.reverify import verify as prove
    from edgekd.report.units import in_full

    for row in prove(_named(target, "verify"), config, set_ or (), out, store):
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


@app.command()
@guarded
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

    The same command goes on from where it was interrupted; started several times, its processes share the study.
    """
    from edgekd.tuning.tune import summary
    from edgekd.tuning.tune import tune as run

    found, folder = run(
        _named(target, "tune"), config, set_ or (), out, store, trials=trials, timeout=timeout,
        searched=search or (), storage=storage, study=study,
    )  # fmt: skip
    print(summary(found, folder), end="")


@app.command()
@guarded
def report(
    target: TargetName = None,
    out: OutFolder = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of report.json instead.")] = False,
    debug: Debug = False,
) -> None:
    """Print the report of a finished build.

    Its pages are written anew from report.json.
    """
    from edgekd.report import pages

    if schema:
        from edgekd import results

        print(json.dumps(results.schema(), indent=1))
        return
    folder = out or Path("build") / Path(_named(target, "report")).stem
    _show(pages.render(folder), folder)


@app.command()
@guarded
def targets(
    name: Annotated[str | None, typer.Argument(help="Show this one's file.")] = None, debug: Debug = False
) -> None:
    """List the targets, or show one."""
    from edgekd.config import targets as shelf
    from edgekd.config.resolve import configure

    if name is not None:
        configure(name, settings=())
        chosen = shelf.load(name)
        print(f"# {chosen.file}\n{chosen.file.read_text(encoding='utf-8')}", end="")
        return
    print(f"{'target':12} {'device':38} {'size':>8} {'RAM':>8}  drop")
    for known in shelf.names():
        found = shelf.load(known)
        drop = found.limits.get("score_drop")
        print(
            f"{known:12} {found.device.get('title', ''):38} {found.limits.get('size_bytes', '-'):>8} "
            f"{found.limits.get('peak_ram_bytes', '-'):>8}  {'-' if drop is None else f'{drop} points'}"
        )
    print("edgekd targets NAME shows one; --target path/to/your.toml takes your own")


@app.command()
@guarded
def doctor(store: StoreFolder = None, debug: Debug = False) -> None:
    """Look at versions, processor, disk and runtimes."""
    from edgekd.cli.doctor import examine

    broken = False
    for symptom in examine(store or Path(".edgekd")):
        print(f"{symptom.verdict:5} {symptom.what:12} {symptom.says}", flush=True)
        if symptom.remedy:
            print(f"{'':18} try: {symptom.remedy}")
        broken = broken or symptom.verdict == "fail"
    if broken:
        raise typer.Exit(MissingExtraError.exit_code)


@app.command()
@guarded
def init(
    force: Annotated[bool, typer.Option("--force", help="Overwrite an edgekd.toml that is there.")] = False,
    debug: Debug = False,
) -> None:
    """Write an edgekd.toml that explains every setting."""
    from edgekd.config.resolve import FILE
    from edgekd.config.template import template
    from edgekd.disk import writing

    if FILE.exists() and not force:
        raise ConfigError(f"{FILE} is there already", "edgekd init --force overwrites it")
    with writing(FILE):
        FILE.write_text(template(), encoding="utf-8")
    print(f"wrote {FILE}; next: edgekd check --target rpi4")


def main() -> None:
    """Run the command line; the entry point of the script `edgekd`."""
    app(prog_name="edgekd")


def _named(target: str | None, command: str) -> str:
    if target is None:
        from edgekd.config.targets import names

        raise ConfigError(f"--target is missing; edgekd has {', '.join(names())}", f"edgekd {command} --target rpi4")
    return target


def _show(found: Any, folder: Path) -> None:
    from edgekd.report import pages

    print(pages.summary(found, folder), end="")
