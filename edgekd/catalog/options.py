"""The options of a catalog entry, held against the types that its function names, before anything runs for hours."""

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from edgekd import catalog
from edgekd.catalog import signatures
from edgekd.errors import ConfigError


def typed(kind: str, name: str, options: Mapping[str, Any], section: str) -> dict[str, Any]:
    """`options` as the entry takes them; ConfigError where one is of another type, or is missing.

    Args:
        section: where they were written, for errors: "distill.scheme".
    """
    entry = catalog.load(kind, name)
    hints = get_type_hints(entry, include_extras=True) if inspect.isfunction(entry) else {}
    takes = list(inspect.signature(entry).parameters.values())[signatures.GIVEN.get(kind, 0) :]
    fields: dict[str, Any] = {
        each.name: (hints.get(each.name, Any), ... if each.default is each.empty else each.default)
        for each in takes
        if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    }
    model = create_model(name, __config__=ConfigDict(arbitrary_types_allowed=True, protected_namespaces=()), **fields)
    try:
        checked = model(**{option: value for option, value in options.items() if option in fields})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0])
        default = fields[option][1]
        raise ConfigError(
            f"{section}.{option}: {first['msg']}, not {options.get(option)!r} ({kind} {name!r})",
            f"{section}.{option} = {default!r} is the default" if default is not ... else f"{section}.{option} = ...",
        ) from error
    return {option: getattr(checked, option, value) for option, value in options.items()}
