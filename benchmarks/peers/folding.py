"""Batch norm folded into the convolutions before it, on the modules themselves: what trains then is what ships."""

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(model: nn.Module) -> nn.Module:
    """`model`, in evaluation mode, with an identity in the place of each batch norm that follows a convolution."""
    for node in fx.symbolic_trace(model).graph.nodes:
        if node.op != "call_module" or not isinstance(model.get_submodule(node.target), nn.BatchNorm2d):
            continue
        before = node.args[0]
        if before.op != "call_module" or len(before.users) != 1:
            continue
        convolution = model.get_submodule(before.target)
        if isinstance(convolution, nn.Conv2d):
            norm = model.get_submodule(node.target)
            model.set_submodule(before.target, fuse_conv_bn_eval(convolution, norm))
            model.set_submodule(node.target, nn.Identity())
    return model
