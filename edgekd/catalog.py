"""What can be named in a config, kind by kind: name -> "module:attribute", looked up without importing torch.

Adding an entry is one file and one line here; a user's own entry is written as "package.module:Name" and needs no line.
"""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from edgekd.errors import ConfigError, nearest

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
    "digits": "edgekd.datasets.digits:digits",
    "idx": "edgekd.datasets.idx:idx",
    "cifar10": "edgekd.datasets.cifar10:cifar10",
    "images": "edgekd.datasets.images:images",
    "npz": "edgekd.datasets.npz:npz",
    "sst2": "edgekd.datasets.sst2:sst2",
}
TEACHERS: dict[str, str] = {}
"""None of our own: `teacher.call` names the user's."""

LOSSES = {
    "logits": "edgekd.losses.logits:SoftTargets",
    "labels": "edgekd.losses.labels:Labels",
    "standardised": "edgekd.losses.standardised:StandardisedLogits",
    "dkd": "edgekd.losses.dkd:DecoupledTargets",
    "dist": "edgekd.losses.dist:PearsonRelations",
    "hints": "edgekd.losses.hints:Hints",
    "attention": "edgekd.losses.attention:AttentionTransfer",
    "patient": "edgekd.losses.patient:PatientStates",
    "embedding": "edgekd.losses.embedding:Embeddings",
    "attention_maps": "edgekd.losses.attention_maps:AttentionMaps",
    "hidden": "edgekd.losses.hidden:HiddenStates",
    "crd": "edgekd.losses.crd:ContrastiveRepresentation",
    "rkd": "edgekd.losses.rkd:RelationalDistances",
    "similarity": "edgekd.losses.similarity:SimilarityPreserving",
    "gram": "edgekd.losses.gram:SolutionFlow",
    "correlation": "edgekd.losses.correlation:CorrelationCongruence",
}
SCHEMES = {
    "offline": "edgekd.schemes.offline:offline",
    "mutual": "edgekd.schemes.mutual:mutual",
    "stream": "edgekd.schemes.stream:stream",
    "born_again": "edgekd.schemes.born_again:born_again",
    "self": "edgekd.schemes.own_teacher:own_teacher",
    "assistant": "edgekd.schemes.assistant:assistant",
    "robust": "edgekd.schemes.robust:robust",
    "adversarial": "edgekd.schemes.adversarial:adversarial",
}
CRITERIA = {
    "magnitude": "edgekd.criteria.magnitude:magnitude",
    "bn_scale": "edgekd.criteria.bn_scale:bn_scale",
    "taylor": "edgekd.criteria.taylor:taylor",
    "random": "edgekd.criteria.random:random",
}
EXPORTERS = {
    "tflite": "edgekd.exporters.tflite:write",
    "onnx": "edgekd.exporters.onnx:write",
}
RUNNERS = {
    "tflite": "edgekd.runners.litert:LiteRTRunner",
    "onnx": "edgekd.runners.onnxruntime:OnnxRuntimeRunner",
    "tflm": "edgekd.runners.tflm:TFLMRunner",
    "litert-reference": "edgekd.runners.litert:reference",
}
KINDS: dict[str, dict[str, str]] = {
    "model": MODELS,
    "data set": DATASETS,
    "teacher": TEACHERS,
    "loss": LOSSES,
    "scheme": SCHEMES,
    "criterion": CRITERIA,
    "exporter": EXPORTERS,
    "runner": RUNNERS,
}

GIVEN = {"criterion": 2, "scheme": 1}
"""Arguments that edgekd itself hands to an entry (a group and a batch, a lesson); what follows them are its options."""


@dataclass(frozen=True)
class Signature:
    """The options that an entry takes.

    Attributes:
        options: names of its arguments, in order.
        required: those without a default.
        open_ended: it takes `**options`, so any name is right.
    """

    options: tuple[str, ...]
    required: tuple[str, ...]
    open_ended: bool


def entry(kind: str, name: str) -> str:
    """The "module:attribute" that `name` stands for; ConfigError with the nearest right name otherwise."""
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
    """(file, attribute) behind a name, found without running it; ConfigError when there is no such module."""
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


def signature(kind: str, name: str) -> Signature | None:
    """The options of an entry, read from its source without running it; None where the source can't tell."""
    file, attribute = source_of(kind, name)
    if file is None:
        return None
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigError(f"{kind} {name!r}: {file} can't be read as Python: {error}", "mend that file") from error
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == attribute:
            return _arguments(statement.args, skip=GIVEN.get(kind, 0))
        if isinstance(statement, ast.ClassDef) and statement.name == attribute:
            for member in statement.body:
                if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                    return _arguments(member.args, skip=1)
            return None
    defined = _names(tree)
    if attribute not in defined and not defined & {"*", "__getattr__"}:
        guess = nearest(attribute, defined)
        raise ConfigError(
            f"{kind} {name!r}: {file} has no {attribute!r}",
            f"'{name.partition(':')[0]}:{guess}'" if guess else f"name something that {file.name} defines",
        )
    return None


def check_options(kind: str, name: str, options: Mapping[str, Any], section: str, settings: Iterable[str]) -> None:
    """Refuse an option that the entry does not take, with the nearest right one.

    Args:
        section: where it was written, "student" say; `settings` are the section's own fields, for the nearest name.
    """
    known = signature(kind, name)
    if known is None or known.open_ended:
        return
    for option in options:
        if option in known.options:
            continue
        guess = nearest(option, [*settings, *known.options])
        takes = ", ".join(known.options) or "no options"
        raise ConfigError(
            f"unknown setting {section}.{option}: {kind} {name!r} takes {takes}",
            f"{section}.{guess}" if guess else f"leave {section}.{option} out",
        )


def load(kind: str, name: str) -> Any:
    """Import the entry. ConfigError where the module or the attribute can't be had."""
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


def _arguments(arguments: ast.arguments, skip: int) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args]
    without_default = len(positional) - len(arguments.defaults)
    required = [a.arg for a in positional[skip : max(skip, without_default)]]
    required += [a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None]
    options = [a.arg for a in positional[skip:]] + [a.arg for a in arguments.kwonlyargs]
    return Signature(tuple(options), tuple(required), arguments.kwarg is not None)


def _names(tree: ast.Module) -> set[str]:
    """Every name that a module may define, at any depth: enough to know what it can't have."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
    return names


def _find(module: str) -> ModuleSpec | None:
    """Where a module lies. `importlib.util.find_spec` would run the packages around it, and they may import torch."""
    top, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(top) if top else None
    except ValueError:  # a module that was put together by hand, such as `__main__`
        return None
    path = top
    for name in below:
        path = f"{path}.{name}"
        if spec is not None:
            spec = PathFinder.find_spec(path, list(spec.submodule_search_locations or ()))
    return spec


def _look_in_working_directory() -> None:
    """A user's `nets.py` beside `edgekd.toml` can be named, as with `python -m`."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
        importlib.invalidate_caches()
