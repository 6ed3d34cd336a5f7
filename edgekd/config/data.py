"""The data and what is done to its images."""

from pydantic import Field, PositiveInt

from edgekd.config.base import Part, Settings, UserPath


class Augment(Settings):
    """Changes to training images alone.

    Attributes:
        shift: images move by up to this many pixels in each direction; the border is filled with zeros.
        flip: half of the images are mirrored from left to right.
        patch: the share of the images that get a patch of another image, of up to half their area (CutMix, with the
            label of the larger part).
    """

    shift: int = Field(0, ge=0)
    flip: bool = False
    patch: float = Field(0.0, ge=0, le=1)


class Data(Part):
    """Attributes:
    name: a data set of the catalog, or "package.module:factory".
    root: the folder or file that holds the data.
    validation: the share of the training samples set aside for validation, where the data set has no such part.
    limit: use only so many training samples, counted after validation is set aside; for a quick look.
    mean, std: of each channel, for normalisation; uint8 inputs are scaled to [0, 1] first. By default they are computed
        on the training split.
    """

    name: str = "digits"
    root: UserPath | None = None
    validation: float = Field(0.15, gt=0, lt=1)
    limit: PositiveInt | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    augment: Augment = Augment(shift=1)
