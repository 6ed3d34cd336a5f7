"""The type check of a catalog entry's options by the annotations of its function, before anything trains."""

import inspect
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from edgekd import catalog
from edgekd.catalog import signatures
from edgekd.errors import ConfigError


def convert_options(kind: str, name: str, options: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Convert `options` to the types of the entry's arguments; ConfigError if one has another type or is missing.

    Args:
        section: the section of the config with the options, for errors: "distill.scheme".
    """
    entry = catalog.load(kind, name)
    hints = get_type_hints(entry, include_extras=True) if inspect.isfunction(entry) else {}
    parameters = list(inspect.signature(entry).parameters.values())[signatures.LEADING_ARGUMENTS.get(kind, 0) :]
    fields: dict[str, Any] = {
        parameter.name: (
            hints.get(parameter.name, Any),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    model = create_model(name, __config__=ConfigDict(arbitrary_types_allowed=True, protected_namespaces=()), **fields)
    try:
        validated = model(**{option: value for option, value in options.items() if option in fields})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0])
        default = fields[option][1]
        raise ConfigError(
            f"{section}.{option}: {first['msg']}, not {options.get(option)!r} ({kind} {name!r})",
            f"{section}.{option} = {default!r} is the default" if default is not ... else f"{section}.{option} = ...",
        ) from error
    return {option: getattr(validated, option, value) for option, value in options.items()}
