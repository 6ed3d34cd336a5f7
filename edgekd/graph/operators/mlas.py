"""The float32 functions of onnxruntime's CPU kernels (MLAS), rounded as they round on CPUs with FMA.

float64 holds the product of two float32s exactly, so it replaces a fused multiply-add.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from edgekd.graph.operators.arithmetic import f32
from edgekd.graph.structure import Array

# Coefficients, highest power first, of the minimax polynomials p(x^2) x / q(x^2) in mlas/lib/logistic.cpp and tanh.cpp.
SIGMOID_P = (
    4.37031012579801e-11,
    1.15627324459942e-07,
    6.08574864600143e-05,
    8.51377133304701e-03,
    2.48287947061529e-01,
)
SIGMOID_Q = (
    *(6.10247389755681e-13, 5.76102136993427e-09, 6.29106785017040e-06),
    *(1.70198817374094e-03, 1.16817656904453e-01, 9.93151921023180e-01),
)
TANH_P = (
    *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08),
    *(1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03),
)
TANH_Q = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)


def sigmoid(x: Array) -> Array:
    """Sigmoid as a rational function on [-18, 18], constant beyond."""
    return np.clip(_rational(np.clip(x, f32(-18), f32(18)), SIGMOID_P, SIGMOID_Q) + f32(0.5), f32(0), f32(1))


def tanh(x: Array) -> Array:
    """Tanh as a rational function on [-9, 9], constant beyond."""
    return _rational(np.clip(x, f32(-9), f32(9)), TANH_P, TANH_Q)


def hard_swish(x: Array) -> Array:
    """Hard-swish: x times the HardSigmoid of x with slope 1/6."""
    result: Array = np.clip(x * f32(1 / 6) + f32(0.5), f32(0), f32(1)) * x
    return result


def gelu(x: Array) -> Array:
    """GELU by the nodes that exporters write: Div, Erf, Add, Mul, Mul."""
    root = f32(math.sqrt(2))
    erf = special.erf((x / root).astype(np.float64)).astype(f32)
    result: Array = x * (erf + f32(1)) * f32(0.5)
    return result


def gelu_tanh(x: Array) -> Array:
    """GELU's tanh form by the nodes that exporters write: Mul, Mul, Mul, Add, Mul, Tanh, Add, Mul, Mul."""
    inner = (x * x * x * f32(0.044715) + x) * f32(math.sqrt(2 / math.pi))
    return x * (tanh(inner) + f32(1)) * f32(0.5)


def leaky_relu(x: Array, alpha: float) -> Array:
    """Leaky ReLU: values below zero are multiplied by alpha."""
    return np.where(x >= 0, x, x * f32(alpha))


FUNCTIONS: dict[str, Callable[[Array, float], Array]] = {
    "sigmoid": lambda x, alpha: sigmoid(x),
    "tanh": lambda x, alpha: tanh(x),
    "hard_swish": lambda x, alpha: hard_swish(x),
    "gelu": lambda x, alpha: gelu(x),
    "gelu_tanh": lambda x, alpha: gelu_tanh(x),
    "leaky_relu": leaky_relu,
}
"""function -> (float32 values, alpha) -> float32 values; the rounding of onnxruntime's other functions is not known."""


def _rational(x: Array, p: Sequence[float], q: Sequence[float]) -> Array:
    square = x * x
    quotient: Array = _polynomial(square, p) * x / _polynomial(square, q)
    return quotient


def _polynomial(x: Array, coefficients: Sequence[float]) -> Array:
    """Evaluate a polynomial by Horner's scheme in fused multiply-adds."""
    result = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        result = (result.astype(np.float64) * x + np.float64(f32(coefficient))).astype(f32)
    return result
