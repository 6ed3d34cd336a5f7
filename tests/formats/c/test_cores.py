"""C files give the reference's outputs on emulated Cortex-M cores, with an FPU and without, in both roundings."""

from pathlib import Path

import numpy as np
import pytest
from support.c_networks import ROUNDINGS, network
from support.c_programs import tensor_infos
from support.cortex_m import EVERY_CORE_AND_TOOL, Tools

from edgekd.devices.cortex_m import Budget, emulate
from edgekd.formats import c
from edgekd.graph import reference
from edgekd.graph.structure import Kernels
from edgekd.runtimes.codes import from_file_codes, to_file_codes

SAMPLES = 2
ROOM = Budget(flash_bytes=1 << 20, ram_bytes=1 << 18)


@EVERY_CORE_AND_TOOL
@pytest.mark.parametrize("kernels", ROUNDINGS)
@pytest.mark.parametrize("name", ["every operator of images", "gru", "text encoder"])
def test_a_core_gives_the_references_codes(
    name: str, kernels: Kernels, core: str, tools: Tools, tmp_path: Path
) -> None:
    graph, codes = network(name, kernels)
    codes = tuple(values[:SAMPLES] for values in codes)
    path = c.write(graph, tmp_path / "net.c", kernels=kernels)
    inputs, (output,) = tensor_infos(path)
    feeds = [to_file_codes(values, info).view(np.int8) for values, info in zip(codes, inputs, strict=True)]
    run = emulate(
        [path.with_suffix(".h"), path],
        core,
        ROOM,
        [feed.reshape(SAMPLES, -1) for feed in feeds],
        [int(np.prod(output.shape, dtype=int))],
        compiler=tools[0],
        emulator=tools[1],
    )
    answer = from_file_codes(run.outputs[0].reshape(SAMPLES, *output.shape), output)
    assert np.array_equal(answer, reference.run(graph, *codes, kernels=kernels))
