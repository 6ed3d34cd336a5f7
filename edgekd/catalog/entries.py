"""The entries that a config can name: a table for each kind from a name to its "module:attribute", without torch.

A new entry is one file and one line here. A user's own entry is written as "package.module:Name" and needs no line.
"""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from edgekd.errors import ConfigError, nearest

TASKS = {
    "classification": "edgekd.tasks.classification:CLASSIFICATION",
}
MODELS = {
    "mlp": "edgekd.models.mlp:MLP",
    "resnet8": "edgekd.models.resnet8:ResNet8",
    "resnet20": "edgekd.models.resnet_cifar:resnet20",
    "resnet32": "edgekd.models.resnet_cifar:resnet32",
    "resnet44": "edgekd.models.resnet_cifar:resnet44",
    "resnet56": "edgekd.models.resnet_cifar:resnet56",
    "dscnn": "edgekd.models.dscnn:DSCNN",
    "mobilenetv2": "edgekd.models.mobilenetv2:MobileNetV2",
    "mobilenetv3": "edgekd.models.mobilenetv3:MobileNetV3",
    "efficientnet_lite": "edgekd.models.efficientnet_lite:EfficientNetLite",
    "squeezenet": "edgekd.models.squeezenet:SqueezeNet",
    "conv1d": "edgekd.models.conv1d:Conv1d",
    "text_encoder": "edgekd.models.text_encoder:TextEncoder",
    "gru_keyword": "edgekd.models.gru_keyword:GRUKeyword",
}
DATASETS = {
    "digits": "edgekd.data.sets.digits:digits",
    "idx": "edgekd.data.sets.idx:idx",
    "cifar10": "edgekd.data.sets.cifar10:cifar10",
    "images": "edgekd.data.sets.images:images",
    "npz": "edgekd.data.sets.npz:npz",
    "sst2": "edgekd.data.sets.sst2:sst2",
}
TEACHERS: dict[str, str] = {}
"""edgekd has no entries of its own here: `teacher.call` names the user's."""

LOSSES = {
    "logits": "edgekd.distillation.losses.logits:SoftTargets",
    "labels": "edgekd.distillation.losses.labels:Labels",
    "standardised": "edgekd.distillation.losses.standardised:StandardisedLogits",
    "dkd": "edgekd.distillation.losses.dkd:DecoupledTargets",
    "dist": "edgekd.distillation.losses.dist:PearsonRelations",
    "hints": "edgekd.distillation.losses.hints:Hints",
    "attention": "edgekd.distillation.losses.attention:AttentionTransfer",
    "patient": "edgekd.distillation.losses.patient:PatientStates",
    "embedding": "edgekd.distillation.losses.embedding:Embeddings",
    "attention_maps": "edgekd.distillation.losses.attention_maps:AttentionMaps",
    "hidden": "edgekd.distillation.losses.hidden:HiddenStates",
    "crd": "edgekd.distillation.losses.crd:ContrastiveRepresentation",
    "rkd": "edgekd.distillation.losses.rkd:RelationalDistances",
    "similarity": "edgekd.distillation.losses.similarity:SimilarityPreserving",
    "gram": "edgekd.distillation.losses.gram:SolutionFlow",
    "correlation": "edgekd.distillation.losses.correlation:CorrelationCongruence",
}
SCHEMES = {
    "offline": "edgekd.distillation.schemes.offline:offline",
    "mutual": "edgekd.distillation.schemes.mutual:mutual",
    "stream": "edgekd.distillation.schemes.stream:stream",
    "born_again": "edgekd.distillation.schemes.born_again:born_again",
    "self": "edgekd.distillation.schemes.own_teacher:own_teacher",
    "assistant": "edgekd.distillation.schemes.assistant:assistant",
    "robust": "edgekd.distillation.schemes.robust:robust",
    "adversarial": "edgekd.distillation.schemes.adversarial:adversarial",
}
CRITERIA = {
    "magnitude": "edgekd.pruning.criteria.magnitude:magnitude",
    "bn_scale": "edgekd.pruning.criteria.bn_scale:bn_scale",
    "taylor": "edgekd.pruning.criteria.taylor:taylor",
    "random": "edgekd.pruning.criteria.random:random",
}
KINDS: dict[str, dict[str, str]] = {
    "task": TASKS,
    "model": MODELS,
    "data set": DATASETS,
    "teacher": TEACHERS,
    "loss": LOSSES,
    "scheme": SCHEMES,
    "criterion": CRITERIA,
}


def entry(kind: str, name: str) -> str:
    """Return the "module:attribute" of `name`, or raise a ConfigError with the most similar name."""
    names = KINDS[kind]
    if name in names:
        return names[name]
    if ":" in name:
        return name
    guess = nearest(name, names)
    raise ConfigError(
        f"there is no {kind} named {name!r}",
        f"{guess!r}" if guess else f"one of {', '.join(names)}, or your own as 'package.module:Name'",
    )


def source_of(kind: str, name: str) -> tuple[Path | None, str]:
    """Return the file and the attribute of a name without running the file; ConfigError if there is no such module."""
    module, _, attribute = entry(kind, name).partition(":")
    _look_in_working_directory()
    spec = _find(module)
    if spec is None:
        raise ConfigError(
            f"{kind} {name!r}: there is no module named {module!r}",
            f"run from the folder that holds {module.split('.')[0]}, or install it in this environment",
        )
    is_source = spec.origin and spec.origin.endswith(".py")
    return (Path(spec.origin) if is_source and spec.origin else None), attribute


def load(kind: str, name: str) -> Any:
    """Import the entry; ConfigError if the import fails or the module has no such attribute."""
    module_name, _, attribute = entry(kind, name).partition(":")
    source_of(kind, name)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{kind} {name!r}: importing {module_name} needs the module {error.name!r}", f"pip install {error.name}"
        ) from error
    except Exception as error:
        raise ConfigError(
            f"{kind} {name!r}: importing {module_name} failed: {type(error).__name__}: {error}",
            f"python -c 'import {module_name}'",
        ) from error
    if not hasattr(module, attribute):
        guess = nearest(attribute, vars(module))
        raise ConfigError(
            f"{kind} {name!r}: {module_name} has no {attribute!r}",
            f"'{module_name}:{guess}'" if guess else f"name something that {module_name} defines",
        )
    return getattr(module, attribute)


def _find(module: str) -> ModuleSpec | None:
    """Find a module; `importlib.util.find_spec` would run the packages around it, and they may import torch."""
    top, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(top) if top else None
    except ValueError:  # a module without a spec, such as `__main__`
        return None
    path = top
    for name in below:
        path = f"{path}.{name}"
        if spec is not None:
            spec = PathFinder.find_spec(path, list(spec.submodule_search_locations or ()))
    return spec


def _look_in_working_directory() -> None:
    """Add the working directory to the import path, as `python -m` does, so that a config can name modules there."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
        importlib.invalidate_caches()
