"""What every section of a config is made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticKnownError

from edgekd.catalog.formats import FORMATS
from edgekd.catalog.runtimes import RUNTIMES


def _one_of(table: Mapping[str, Any]) -> AfterValidator:
    """A validator of names in a table, with the words that pydantic has for a Literal."""

    def check(name: str) -> str:
        if name not in table:
            *others, last = (repr(known) for known in table)
            raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
        return name

    return AfterValidator(check)


FormatName = Annotated[str, _one_of(FORMATS)]
RuntimeName = Annotated[str, _one_of(RUNTIMES)]
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
