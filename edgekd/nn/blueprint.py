"""Networks on disk as data: the factory's name, its options, the sizes after pruning and the weights, without code."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd.catalog import load as load_entry
from edgekd.data.splits import Splits
from edgekd.errors import ModelError, StoreError
from edgekd.nn import tensors

# The attributes of layers that hold their sizes; structured pruning changes them, and a factory does not know.
SIZES = (
    "in_channels", "out_channels", "groups", "in_features", "out_features", "num_features", "num_channels",
    "num_groups", "num_parameters", "normalized_shape", "embed_dim", "input_size", "hidden_size",
)  # fmt: skip
PARTS = frozenset({"factory", "options", "resized", "weights"})
"""The keys of `as_checkpoint`."""


@dataclass(frozen=True)
class Blueprint:
    """Attributes:
    factory: name in the catalog, or "package.module:factory".
    options: arguments of the factory; JSON has no tuples, so factories take lists for them.
    """

    factory: str
    options: dict[str, Any] = field(default_factory=dict)


def fill_options(factory: str, options: Mapping[str, Any], splits: Splits) -> dict[str, Any]:
    """Return `options` with the data's `classes`, `input_shape` and `vocabulary` where the factory takes them.

    `classes` is the size of an answer, in tasks without classes too.
    """
    from_data = {"classes": splits.answer_shape[0], "input_shape": list(splits.input_shape)}
    if splits.vocabulary:
        from_data["vocabulary"] = len(splits.vocabulary)
    takes = inspect.signature(load_entry("model", factory)).parameters
    return {**{name: value for name, value in from_data.items() if name in takes}, **options}


def build(blueprint: Blueprint, *, seed: int = 0) -> nn.Module:
    """Return the untrained network, whose initial weights depend on `seed` alone; ModelError if it can't be built."""
    factory = load_entry("model", blueprint.factory)
    title = f"model {blueprint.factory!r} with options {json.dumps(blueprint.options)}"
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = factory(**blueprint.options)
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError, ArithmeticError) as error:
        raise ModelError(
            f"{title} can't be built: {type(error).__name__}: {error}", "mind the options beside its name"
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"{title} is a {type(model).__name__}", "name something that returns a torch.nn.Module")
    return model


def save(model: nn.Module, blueprint: Blueprint, folder: Path) -> None:
    """Write `blueprint.json` and `weights.pt`; the same network gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    plan = {
        "factory": blueprint.factory,
        "options": blueprint.options,
        "resized": _size_changes(model, build(blueprint)),
    }
    (folder / "blueprint.json").write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
    weights = {key: value.detach().to("cpu") for key, value in model.state_dict().items()}
    plain = {key: value.clone(memory_format=torch.contiguous_format) for key, value in weights.items()}
    tensors.write(folder / "weights.pt", plain)


def load(folder: Path) -> tuple[nn.Module, Blueprint]:
    """Load the network of `save`, in evaluation mode; pruned layers have their pruned sizes.

    Raises:
        StoreError: the folder has no readable network.
        ModelError: the factory builds another network than before.
    """
    try:
        plan = json.loads((folder / "blueprint.json").read_text(encoding="utf-8"))
        blueprint = Blueprint(plan["factory"], plan["options"])
        resized = plan["resized"]
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"{folder} holds no readable network: {error}", "remove it, and build again") from error
    weights = tensors.read(folder / "weights.pt")
    model = build(blueprint)
    resize(model, resized, weights)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(
            f"the weights in {folder} no longer fit model {blueprint.factory!r}: has its source changed?",
            f"remove {folder.parent}, and build again",
        ) from error
    return model.eval(), blueprint


def as_checkpoint(folder: Path) -> dict[str, Any]:
    """Return the files of `save` as one mapping, the content of a checkpoint for the student or the teacher."""
    plan = json.loads((folder / "blueprint.json").read_text(encoding="utf-8"))
    return {**plan, "weights": tensors.read(folder / "weights.pt")}


def resize(model: nn.Module, resized: Mapping[str, Mapping[str, Any]], weights: Mapping[str, torch.Tensor]) -> None:
    """Set layers to the sizes that they had after pruning; layers that `model` does not have are skipped."""
    layers = dict(model.named_modules())
    for layer_name, sizes in resized.items():
        layer = layers.get(layer_name)
        if layer is None:
            continue
        for size in SIZES:
            if size in sizes:
                setattr(layer, size, tuple(sizes[size]) if isinstance(sizes[size], list) else sizes[size])
        prefix = f"{layer_name}." if layer_name else ""
        for name, parameter in list(layer.named_parameters(recurse=False)):
            if prefix + name in weights:
                setattr(layer, name, nn.Parameter(weights[prefix + name].clone(), parameter.requires_grad))
        for name, _ in list(layer.named_buffers(recurse=False)):
            if prefix + name in weights:
                setattr(layer, name, weights[prefix + name].clone())


def _size_changes(model: nn.Module, fresh: nn.Module) -> dict[str, dict[str, Any]]:
    """Return the layers whose sizes differ from those of a new network, with the attributes that differ."""
    originals = dict(fresh.named_modules())
    sizes = {}
    for name, layer in model.named_modules():
        original = originals.get(name)
        if original is None:
            raise ModelError(f"layer {name} is not part of the network that its factory builds", "keep to the factory")
        differences = {
            size: getattr(layer, size)
            for size in SIZES
            if hasattr(layer, size) and getattr(layer, size) != getattr(original, size, None)
        }
        if differences or _shapes(layer) != _shapes(original):
            sizes[name] = differences
    return sizes


def _shapes(layer: nn.Module) -> dict[str, torch.Size]:
    own = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
    return {name: tensor.shape for name, tensor in own}
