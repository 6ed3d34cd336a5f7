"""A network's layers by name: their output shapes, and the pairs of a student's and a teacher's layers to compare."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from edgekd.errors import ConfigError, nearest
from edgekd.nn.example import Example, inputs_for
from edgekd.nn.outputs import tensor_of

HEADS = ("heads", "num_heads", "num_attention_heads", "n_heads")
"""Names of the number of heads in attention modules: here, in torch and timm, in transformers, in its DistilBERT."""
NUMBERED = re.compile(r"(.+)\.\d+$")  # "blocks.3" is the fourth of the blocks


@dataclass(frozen=True)
class Layer:
    """One module whose output is a tensor.

    Attributes:
        name: its path in the network, "layer2.0.conv1".
        kind: the name of its class.
        shape: shape of its output for one sample, (C, H, W) or (length, width) or (width,).
        heads: number of heads of the attention that contains it; None where no module around it has this attribute.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    heads: int | None = None

    @property
    def resolution(self) -> tuple[int, ...]:
        """The shape without channels: (H, W) of an image's map, else ()."""
        return self.shape[1:] if len(self.shape) == 3 else ()


@dataclass(frozen=True)
class Pair:
    """A student's layer and the teacher's that it is to learn from."""

    student: Layer
    teacher: Layer


@dataclass(frozen=True)
class Networks:
    """The layers of a student and its teacher, in the order in which they run, for losses that compare them.

    Attributes:
        classes: number of the data's classes.
        samples: number of samples of the training split.
    """

    student: tuple[Layer, ...]
    teacher: tuple[Layer, ...]
    classes: int
    samples: int

    def pairs(self, names: Sequence[str] | None, who: str, rank: int | None = None) -> tuple[Pair, ...]:
        """Return the pairs of layers with these names, or else those of `stages`, matched by resolution or by depth.

        Args:
            names: "name" where it is the same in both, or "student's:teacher's"; None matches layers automatically.
            who: how errors call the loss.
            rank: number of dimensions that the loss accepts: 3 for maps (C, H, W), 2 for sequences; None for any.

        Raises:
            ConfigError: there is no such layer, no pair, or a layer of another rank.
        """
        if names:
            pairs = tuple(self._pair(text, who) for text in _texts(names, who))
        else:
            student, teacher = stages(self.student), stages(self.teacher)
            pairs = _by_resolution(student, teacher) or _by_depth(student, teacher)
        for layer in (layer for pair in pairs for layer in (pair.student, pair.teacher)):
            if rank is not None and len(layer.shape) != rank:
                raise ConfigError(
                    f"loss {who!r} takes layers whose samples have {rank} dimensions; {layer.name!r} has "
                    f"{len(layer.shape)}: {layer.shape}",
                    f"layers = [...] with others of {_list(self.student)}",
                )
        if not pairs:
            raise ConfigError(
                f"loss {who!r} finds no layers of the student and the teacher that belong together",
                f'name them: layers = ["STUDENT:TEACHER"], of the student {_list(self.student)}; '
                f"of the teacher {_list(self.teacher)}",
            )
        return pairs

    def embeddings(self, names: Sequence[str] | None, who: str) -> tuple[Pair, ...]:
        """Return pairs as `pairs` does; without names, the input of each network's last layer, one vector a sample."""
        if names:
            return self.pairs(names, who)
        return (Pair(embedding(self.student, who), embedding(self.teacher, who)),)

    def attentions(self, names: Sequence[str] | None, who: str, query: str, key: str) -> tuple[tuple[Pair, Pair], ...]:
        """Return pairs of queries and pairs of keys of self-attentions, matched by depth.

        Args:
            names: names of the attentions, "student's:teacher's"; None selects all of the student's.
            query, key: names of the two modules in an attention.
        """
        if names:
            texts = [(ours, theirs or ours) for ours, _, theirs in (text.partition(":") for text in _texts(names, who))]
            queries = tuple(self._pair(f"{ours}.{query}:{theirs}.{query}", who) for ours, theirs in texts)
        else:
            queries = _by_depth(_queries(self.student, query, key), _queries(self.teacher, query, key))
        if not queries:
            raise ConfigError(
                f"loss {who!r} finds no attention with modules {query!r} and {key!r} in both networks",
                f"query and key as they are called in the student, one of {_list(self.student)}, and in the teacher",
            )
        keys = [
            self._pair(
                f"{pair.student.name.removesuffix(query)}{key}:{pair.teacher.name.removesuffix(query)}{key}", who
            )
            for pair in queries
        ]
        return tuple(zip(queries, keys, strict=True))

    def _pair(self, text: str, who: str) -> Pair:
        ours, _, theirs = text.partition(":")
        return Pair(
            _find(self.student, ours, f"loss {who!r}: the student"),
            _find(self.teacher, theirs or ours, f"loss {who!r}: the teacher"),
        )


def survey(model: nn.Module, example: Example) -> tuple[Layer, ...]:
    """Return every named module whose output is a tensor with a row a sample, in the order in which they finish.

    A module that runs more than once (a ReLU that is used everywhere) is left out: its name is ambiguous.
    """
    layers: list[Layer] = []
    hooks = []
    for name, module in model.named_modules():
        if not name:
            continue

        def note(module: nn.Module, _: object, inputs: object, name: str = name) -> None:
            tensor = tensor_of(inputs)
            if tensor is not None and tensor.ndim >= 2 and len(tensor) == 2:
                layers.append(Layer(name, type(module).__name__, tuple(tensor.shape[1:]), _heads(model, name)))

        hooks.append(module.register_forward_hook(note))
    was_training = model.training
    try:
        with torch.no_grad():
            model.eval()(inputs_for(model, example, 2))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    times = Counter(layer.name for layer in layers)
    return tuple(layer for layer in layers if times[layer.name] == 1)


def stages(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """Return the layers that represent a network: the last map at each resolution, or else its repeated blocks.

    A network of vectors alone (a perceptron) is represented by its activations.
    """
    maps = [layer for layer in layers if layer.resolution and layer.resolution != (1, 1)]
    if maps:
        last = {layer.resolution: layer for layer in maps}
        return tuple(layer for layer in maps if last[layer.resolution] is layer)
    lengths = Counter(_series(layer) for layer in layers if NUMBERED.match(layer.name))
    block_series = {
        series
        for series, count in lengths.items()
        if count > 1 and "Linear" not in series[1] and "Dropout" not in series[1]
    }
    blocks = [layer for layer in layers if NUMBERED.match(layer.name) and _series(layer) in block_series]
    if blocks:
        return tuple(blocks)
    return tuple(layer for layer in layers[:-1] if layer.kind in ("ReLU", "ReLU6", "GELU", "Tanh"))


def embedding(layers: Sequence[Layer], who: str) -> Layer:
    """Return the layer before the classifier: the last one whose output is a vector, or else the last of all."""
    classifier = next((number for number in reversed(range(len(layers))) if _is_leaf(layers[number], layers)), 0)
    before = layers[:classifier]
    if not before:
        raise ConfigError(f"loss {who!r}: a network of a single layer has nothing inside", 'losses = [{name="logits"}]')
    vectors = [layer for layer in before if len(layer.shape) == 1]
    return (vectors or list(before))[-1]


def _heads(model: nn.Module, name: str) -> int | None:
    """Return the number of heads that the closest module around `name` has as an attribute."""
    while name := name.rpartition(".")[0]:
        parent = model.get_submodule(name)
        heads = next((getattr(parent, attribute) for attribute in HEADS if hasattr(parent, attribute)), None)
        if isinstance(heads, int):
            return heads
    return None


def _queries(layers: Sequence[Layer], query: str, key: str) -> tuple[Layer, ...]:
    """Return the queries of the attentions that have keys too."""
    names = {layer.name for layer in layers}
    return tuple(
        layer
        for layer in layers
        if layer.name.rpartition(".")[2] == query and layer.name.removesuffix(query) + key in names
    )


def _texts(names: object, who: str) -> list[str]:
    """Return `names` as a list; a single name may be written without brackets."""
    texts = [names] if isinstance(names, str) else names
    if isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts):
        return list(texts)
    raise ConfigError(f"loss {who!r}: layers = {names!r} are no names", 'layers = ["STUDENT:TEACHER"]')


def _is_leaf(layer: Layer, layers: Sequence[Layer]) -> bool:
    return not any(other.name.startswith(f"{layer.name}.") for other in layers)


def _by_resolution(student: Sequence[Layer], teacher: Sequence[Layer]) -> tuple[Pair, ...]:
    theirs = {layer.resolution: layer for layer in teacher if layer.resolution}
    return tuple(Pair(layer, theirs[layer.resolution]) for layer in student if layer.resolution in theirs)


def _by_depth(student: Sequence[Layer], teacher: Sequence[Layer]) -> tuple[Pair, ...]:
    """Pair the last layer with the last, and the others at the same share of the depth."""
    if not student or not teacher or len(student[0].shape) != len(teacher[0].shape):
        return ()
    factor = len(teacher) / len(student)
    return tuple(Pair(layer, teacher[max(round((number + 1) * factor) - 1, 0)]) for number, layer in enumerate(student))


def _series(layer: Layer) -> tuple[str, str]:
    match = NUMBERED.match(layer.name)
    return (match[1] if match else layer.name, layer.kind)


def _find(layers: Sequence[Layer], name: str, whose: str) -> Layer:
    for layer in layers:
        if layer.name == name:
            return layer
    guess = nearest(name, [layer.name for layer in layers])
    raise ConfigError(f"{whose} has no layer {name!r}", f"{guess!r}" if guess else f"one of {_list(layers)}")


def _list(layers: Sequence[Layer]) -> str:
    return ", ".join(layer.name for layer in layers)
