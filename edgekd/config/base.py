"""What every section of a config is made of."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

UserPath = Annotated[Path, AfterValidator(Path.expanduser)]


class Settings(BaseModel):
    """A frozen section that refuses unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Part(Settings):
    """A section that names a catalog entry; names it does not know are that entry's options."""

    model_config = ConfigDict(extra="allow")

    options: dict[str, Any] = {}

    def entry_options(self) -> dict[str, Any]:
        """The options for the entry: what stands beside its name, and `options`."""
        return {**(self.model_extra or {}), **self.options}
