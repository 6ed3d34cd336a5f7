"""A generator of images, and a network that holds its own optimizer, for schemes with two opposed objectives."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.training import distributed


class Generator(nn.Module):
    """Noise -> normalised images: a linear layer, two upsamplings by 2 with a convolution each, and one more
    (DAFL's: Chen et al., 2019, arXiv:1904.01186), for images of any size.

    The last batch norm has no parameters: each channel has mean 0 and variance 1, as normalised training images have.
    """

    def __init__(self, shape: Sequence[int], latent: int = 64, width: int = 64) -> None:
        super().__init__()
        self.latent, self.width = latent, width
        channels, height, width_of_image = shape
        quarter, half = ((-(-height // by), -(-width_of_image // by)) for by in (4, 2))
        self.sizes = (quarter, half, (height, width_of_image))
        self.start = nn.Linear(latent, width * quarter[0] * quarter[1])
        self.first = nn.Sequential(nn.BatchNorm2d(width))
        self.middle = _convolution_block(width, width)
        self.last = _convolution_block(width, width // 2)
        self.image = nn.Sequential(
            nn.Conv2d(width // 2, channels, 3, padding=1), nn.Tanh(), nn.BatchNorm2d(channels, affine=False)
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Map noise (N, latent) to images (N, C, H, W)."""
        small, half, whole = self.sizes
        x = self.first(self.start(noise).view(-1, self.width, *small))
        x = self.middle(F.interpolate(x, half))
        images: Tensor = self.image(self.last(F.interpolate(x, whole)))
        return images


def _convolution_block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))


class AdamNetwork(nn.Module):
    """A network with an Adam of its own (Kingma and Ba, 2015, algorithm 1), which updates it during a step of another
    training: `fit` minimises one loss by one optimizer, and skips parameters that require no gradient.

    Weights and moments are part of the module's state, so a killed training resumes with them.

    Args:
        every: number of calls of `lower` for each update, which happens at the first of them.
    """

    def __init__(
        self, network: nn.Module, learning_rate: float, every: int = 1, betas: tuple[float, float] = (0.5, 0.999)
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.learning_rate, self.every, self.betas = learning_rate, every, betas
        self.turns: Tensor
        self.steps: Tensor
        for counter in ("turns", "steps"):
            self.register_buffer(counter, torch.zeros((), dtype=torch.int64))
        for moment in ("mean", "square"):
            for number, parameter in enumerate(network.parameters()):
                self.register_buffer(f"{moment}_{number}", torch.zeros_like(parameter))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Run the network."""
        output: Tensor = self.network(*inputs)
        return output

    def lower(self, loss: Callable[[], Tensor]) -> None:
        """Make one step of Adam on `loss`, which runs this network; gradients are averaged over processes."""
        self.turns += 1
        if (self.turns - 1) % self.every:
            return
        self.network.requires_grad_(True)
        parameters = list(self.network.parameters())
        gradients = torch.autograd.grad(loss(), parameters)
        self.network.requires_grad_(False)
        self.steps += 1
        with torch.no_grad():
            for number, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
                self._move(parameter, distributed.mean(gradient), f"{number}")

    def _move(self, parameter: Tensor, gradient: Tensor, name: str) -> None:
        mean, square = self.get_buffer(f"mean_{name}"), self.get_buffer(f"square_{name}")
        mean.lerp_(gradient, 1 - self.betas[0])
        square.lerp_(gradient.square(), 1 - self.betas[1])
        steps = int(self.steps)
        direction = mean / (1 - self.betas[0] ** steps)
        length = (square / (1 - self.betas[1] ** steps)).sqrt() + 1e-8
        parameter -= self.learning_rate * direction / length
