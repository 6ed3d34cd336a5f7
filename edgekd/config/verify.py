"""The comparison of the files with what was trained."""

from pydantic import Field

from edgekd.config.base import RuntimeName, Settings


class Verify(Settings):
    """Attributes:
    runtimes: the runtimes that the int8 files are run in, as far as their format is exported; each is compared with
        the integer reference in its own rounding.
    layer_samples: the number of test samples on which every layer is compared too; 0 compares outputs alone.
    simulation_identical: the share of the trained simulation's outputs that must equal those of the integer reference.
    simulation_steps: the largest difference that an output of the simulation may have, in quantisation steps.
    float_identical: the share of equal outputs where layers are kept in float, whose sums each runtime orders in its
        own way; without such layers no output may differ.
    float_steps: the largest difference of an output there, in quantisation steps.
    """

    runtimes: tuple[RuntimeName, ...] = ("litert", "onnxruntime")
    layer_samples: int = Field(64, ge=0)
    simulation_identical: float = Field(0.9999, ge=0, le=1)
    simulation_steps: int = Field(1, ge=0)
    float_identical: float = Field(0.95, ge=0, le=1)
    float_steps: int = Field(3, ge=0)
