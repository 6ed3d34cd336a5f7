"""`edgekd targets`: it lists the targets, or prints the file of one."""

from typing import Annotated

import typer

from edgekd.cli.options import Debug


def targets(
    name: Annotated[str | None, typer.Argument(help="Show this one's file.")] = None, debug: Debug = False
) -> None:
    """List the targets, or show one."""
    from edgekd.config.resolve import configure
    from edgekd.config.targets import load, names

    if name is not None:
        configure(name, settings=())
        target = load(name)
        print(f"# {target.file}\n{target.file.read_text(encoding='utf-8')}", end="")
        return
    print(f"{'target':19} {'device':41} {'size':>8} {'RAM':>8}  drop")
    for target_name in names():
        target = load(target_name)
        drop = target.limits.get("score_drop")
        print(
            f"{target_name:19} {target.device.get('title', ''):41} {target.limits.get('size_bytes', '-'):>8} "
            f"{target.limits.get('peak_ram_bytes', '-'):>8}  {'-' if drop is None else f'{drop} points'}"
        )
    print("edgekd targets NAME shows one; --target path/to/your.toml takes your own")
