"""Tests of the options of catalog entries: they have the type that the entry declares, or are refused in words."""

import pytest

from edgekd import catalog
from edgekd.catalog.options import convert_options
from edgekd.errors import ConfigError


@pytest.mark.parametrize("name", catalog.SCHEMES)
def test_defaults_are_of_the_types_that_a_scheme_names(name):
    assert convert_options("scheme", name, {}, "distill.scheme") == {}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mutual", {"peers": "two"}),
        ("mutual", {"peers": 2.5}),
        ("born_again", {"first": "nobody"}),
        ("self", {"layers": "body.1"}),
        ("robust", {"eps": [8]}),
        ("assistant", {"assistant": 20}),
    ],
)
def test_an_option_of_another_type_is_refused_by_name(name, options):
    (option,) = options
    with pytest.raises(ConfigError, match=rf"distill\.scheme\.{option}: .* \(scheme '{name}'\)") as refused:
        convert_options("scheme", name, options, "distill.scheme")
    assert f"distill.scheme.{option}" in refused.value.remedy


def test_right_ones_come_back_as_they_were_written():
    options = {"assistant": [{"model": "resnet20", "epochs": 3}, "resnet8"]}
    assert convert_options("scheme", "assistant", options, "distill.scheme") == options


def test_a_users_own_scheme_needs_no_annotations(own_folder):
    (own_folder / "bare_scheme.py").write_text("def bare(distillation, often): pass\n")
    assert convert_options("scheme", "bare_scheme:bare", {"often": "x"}, "distill.scheme") == {"often": "x"}
    with pytest.raises(ConfigError, match=r"distill\.scheme\.often: Field required"):
        convert_options("scheme", "bare_scheme:bare", {}, "distill.scheme")
