"""The data and what is done to its images."""

from pydantic import Field, PositiveInt

from edgekd.config.base import Part, Settings, UserPath


class Augment(Settings):
    """Changes to training images alone.

    Attributes:
        shift: up to this many pixels in each direction, the border filled with zeros (pad and crop).
        flip: left to right, half of them.
        patch: share of the images into which a patch of another one is pasted, of up to half the area (CutMix with the
            label of the larger part).
    """

    shift: int = Field(0, ge=0)
    flip: bool = False
    patch: float = Field(0.0, ge=0, le=1)


class Data(Part):
    """Attributes:
    name: of the catalog, or "package.module:factory".
    root: the folder or file that holds the data.
    validation: share of the training samples set aside, where the data set has no validation part of its own.
    limit: use only so many training samples (after validation is set aside); for a quick look.
    mean, std: per channel, of inputs scaled to [0, 1] where they are uint8; computed on the training split by default.
    """

    name: str = "digits"
    root: UserPath | None = None
    validation: float = Field(0.15, gt=0, lt=1)
    limit: PositiveInt | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    augment: Augment = Augment(shift=1)
