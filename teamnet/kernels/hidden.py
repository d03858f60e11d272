"""Hidden functions: each is one small function of the preactivation that gives its value and its derivative.

From it follow the compiled code of units, the policy, the names that a spec may have, and the help. A function calls
nothing but arithmetic, ``abs`` and :mod:`teamnet.kernels.functions`, so that it works on numbers and on NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from teamnet.kernels.compile import Kernel, kernel
from teamnet.kernels.functions import exp_negative, log1p_fraction, select
from teamnet.kernels.memory import vector


@kernel
def softplus(p):
    """``log(1 + exp(p))``."""
    u = exp_negative(-abs(p))
    share = 1.0 / (1.0 + u)
    return select(p > 0.0, p, 0.0) + log1p_fraction(u), select(p >= 0.0, share, u * share)


@kernel
def relu(p):
    """``max(0, p)``, with the derivative 1 at 0; what is not a number stays so and is noticed."""
    return select(p <= 0.0, 0.0, p), select(p >= 0.0, 1.0, 0.0)


@kernel
def linear(p):
    """``p`` itself."""
    return p, 1.0


@kernel
def logistic(p):
    """``1 / (1 + exp(-p))``."""
    u = exp_negative(-abs(p))
    share = 1.0 / (1.0 + u)
    return select(p >= 0.0, share, u * share), u * share * share


@kernel
def tanh(p):
    """``tanh(p)``."""
    u = exp_negative(-2.0 * abs(p))
    share = 1.0 / (1.0 + u)
    size = (1.0 - u) * share
    return select(p >= 0.0, size, -size), 4.0 * u * share * share


@kernel
def leaky_relu(p):
    """``max(p / 100, p)`` (Maas et al., 2013)."""
    return select(p <= 0.0, 0.01 * p, p), select(p >= 0.0, 1.0, 0.01)


FUNCTIONS: Mapping[str, Kernel] = MappingProxyType({
    "softplus": softplus, "relu": relu, "linear": linear, "logistic": logistic, "tanh": tanh, "leaky-relu": leaky_relu,
})
"""All by name."""
ALIASES: Mapping[str, str] = MappingProxyType({"sigmoid": "logistic"})
"""Other names of some."""


def hidden_function(name: str) -> Kernel:
    """The function of a name or of another name of it.

    Raises:
        KeyError: there is none.
    """
    return FUNCTIONS[ALIASES.get(name, name)]


def applied(function: Kernel) -> Kernel:
    """The kernel that applies a function to ``count`` numbers at an address and writes values and derivatives."""

    def apply(preactivation: int, value: int, derivative: int, count: int) -> int:
        p, f, d = vector(preactivation, count), vector(value, count), vector(derivative, count)
        for j in range(count):
            f[j], d[j] = function(p[j])
        return 0

    return kernel(apply)


def value_of(name: str, preactivation: Any) -> Any:
    """``f(p)`` of a NumPy array."""
    return hidden_function(name)(preactivation)[0]
