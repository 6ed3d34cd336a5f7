"""Batch norm folding on torch modules, so that a peer trains the weights that ship, as edgekd does."""

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(model: nn.Module) -> nn.Module:
    """Fold each batch norm that follows a convolution of `model`, in evaluation mode, and remove dropout.

    Dropout does nothing in evaluation, but litert-torch's quantizer gives its input and output different scales, and
    the converter then drops the requantisation between them. That cost a DS-CNN 14 points.
    """
    for node in fx.symbolic_trace(model).graph.nodes:
        if node.op != "call_module":
            continue
        layer, source = model.get_submodule(node.target), node.args[0]
        if isinstance(layer, nn.Dropout):
            model.set_submodule(node.target, nn.Identity())
        if not isinstance(layer, nn.BatchNorm2d) or source.op != "call_module" or len(source.users) != 1:
            continue
        convolution = model.get_submodule(source.target)
        if isinstance(convolution, nn.Conv2d):
            model.set_submodule(source.target, fuse_conv_bn_eval(convolution, layer))
            model.set_submodule(node.target, nn.Identity())
    return model
