"""Tests that a quantity has an origin or a remedy, and that the schema describes every field."""

import pytest
from pydantic import ValidationError

from edgekd.results import Quantity, schema


def test_a_value_without_an_origin_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs its origin"):
        Quantity(value=3.0, unit="ms")


def test_an_empty_figure_without_a_remedy_is_refused() -> None:
    with pytest.raises(ValidationError, match="needs the command"):
        Quantity(unit="ms")


def test_zero_is_a_value() -> None:
    assert Quantity(value=0.0, unit="points", origin="counted").value == 0.0


def test_an_unknown_origin_is_refused() -> None:
    with pytest.raises(ValidationError):
        Quantity(value=3.0, unit="ms", origin="guessed")  # type: ignore[arg-type]


def test_the_schema_says_what_the_fields_mean() -> None:
    described = schema()
    assert "measured-host" in described["$defs"]["Quantity"]["properties"]["origin"]["description"]
    assert "shipped" in described["properties"]["boundaries"]["description"]
    assert described["additionalProperties"] is False
