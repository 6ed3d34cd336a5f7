"""Two processes under torchrun do together what one does alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from toys import linear, stripes

from edgekd.config import Compute, Training
from edgekd.nn import processes
from edgekd.nn.fit import fit

HERE = Path(__file__).parent
SETTINGS = Training(epochs=3, batch_size=16)


def trained(checkpoint: Path | None = None) -> tuple[torch.nn.Module, int]:
    """A training without batch norm, twice in a row in one process group, the second with a layer that is not used."""
    torch.manual_seed(processes.rank())  # DDP hands out the main process's weights
    model = linear()
    if processes.is_main():
        torch.manual_seed(0)
        model = linear()

    def step(module, batch):
        return F.cross_entropy(module(batch.x), batch.y)

    def partial_step(module, batch):
        return F.cross_entropy(module["used"](batch.x), batch.y)

    both = {"seed": 0, "compute": Compute(accelerator="cpu", threads=1)}
    fit(model, step, stripes(), SETTINGS, checkpoint=checkpoint, title="distill", **both)
    container = torch.nn.ModuleDict({"used": model, "unused": torch.nn.Linear(2, 2)})
    result = fit(container, partial_step, stripes(), SETTINGS, title="distill", **both)
    return model, result.processes


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__, folder]
    path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_both_processes_end_on_the_same_weights(shared):
    first, second = (torch.load(shared / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert first["processes"] == second["processes"] == 2
    assert all(torch.equal(first["weights"][key], value) for key, value in second["weights"].items())


def test_they_end_where_one_process_ends(shared):
    alone, count = trained()
    weights = torch.load(shared / "0.pt", weights_only=True)["weights"]
    assert count == 1
    assert all(torch.allclose(weights[key], value, atol=1e-4) for key, value in alone.state_dict().items())


def test_only_the_main_process_computes_what_it_tells_the_others(shared):
    assert [torch.load(shared / f"{rank}.pt", weights_only=True)["told"] for rank in range(2)] == ["from 0", "from 0"]


if __name__ == "__main__":
    out = Path(sys.argv[1])
    model, count = trained(out / "state")
    told = processes.from_main(lambda: f"from {processes.rank()}")
    torch.save({"weights": model.state_dict(), "processes": count, "told": told}, out / f"{processes.rank()}.pt")
    processes.barrier()
