"""Hidden functions: each is one small function of the preactivation that gives its value and its derivative.

The compiled code of units, the policy, the names that a spec accepts and the help are derived from it. A function, also
one in a user's file, uses only arithmetic, ``abs`` and :mod:`teamnet.kernels.functions`, so that it works on numbers
and on NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from teamnet.errors import SpecError, nearest
from teamnet.kernels.compile import Kernel, kernel
from teamnet.kernels.functions import exp_negative, log1p_fraction, select
from teamnet.kernels.memory import vector
from teamnet.kernels.user_file import Source, line_of


@kernel
def softplus(p):
    """``log(1 + exp(p))``."""
    u = exp_negative(-abs(p))
    share = 1.0 / (1.0 + u)
    return select(p > 0.0, p, 0.0) + log1p_fraction(u), select(p >= 0.0, share, u * share)


@kernel
def relu(p):
    """``max(0, p)``, with the derivative 1 at 0; NaN stays NaN and is detected."""
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
"""All hidden functions by name."""
ALIASES: Mapping[str, str] = MappingProxyType({"sigmoid": "logistic"})
"""Other accepted names of some of them."""


@dataclass(frozen=True)
class UserFunction:
    """A hidden function in a user's file.

    Args:
        source: the file.
        name: of the function.
    """

    source: Source
    name: str

    @property
    def kernel(self) -> Kernel:
        """The function.

        Raises:
            SpecError: the file has none of this name.
        """
        found = getattr(self.source.load(), self.name, None)
        if not callable(found):
            module = self.source.load()
            own = vars(module).items()
            names = [name for name, value in own if getattr(value, "__module__", "") == module.__name__]
            raise SpecError(
                self.source.path, expected=f"a function {self.name}", found="none", remedy=nearest(self.name, names)
            )
        return found if isinstance(found, Kernel) else kernel(found)

    def check(self) -> None:
        """Reject a function that does not return a finite value and derivative for each of some preactivations.

        Raises:
            SpecError: with the line.
        """
        function, p = self.kernel, np.array([[-2.0, -0.5, 0.0, 0.5, 2.0]])
        line = function.function.__code__.co_firstlineno
        try:
            value, derivative = function(p)
            shapes = [np.broadcast_shapes(np.shape(result), p.shape) for result in (value, derivative)]
            found = "" if np.isfinite(value).all() and np.isfinite(derivative).all() else "NaN or infinity"
            found = found if shapes == [p.shape, p.shape] else f"arrays {shapes}"
        except Exception as error:  # a user's function can raise anything
            line, found = line_of(self.source.path, error) or line, f"{type(error).__name__}: {error}"
        if found:
            raise SpecError(
                f"{self.source.path}:{line}", expected=f"a value and a derivative for each p of {self.name}(p)",
                found=found, remedy="Return both, with arithmetic that works on numbers and on NumPy arrays.",
            )


Function = str | UserFunction
"""The name of a function of this module, or one of a user's own."""


def hidden_function(function: Function) -> Kernel:
    """The kernel of a function, by its name or another name of it.

    Raises:
        KeyError: there is none of this name.
    """
    return function.kernel if isinstance(function, UserFunction) else FUNCTIONS[ALIASES.get(function, function)]


def applied(function: Kernel) -> Kernel:
    """The kernel that applies a function to ``count`` numbers at an address and writes values and derivatives."""

    def apply(preactivation: int, value: int, derivative: int, count: int) -> int:
        p, f, d = vector(preactivation, count), vector(value, count), vector(derivative, count)
        for j in range(count):
            f[j], d[j] = function(p[j])
        return 0

    return kernel(apply)


def value_of(function: Function, preactivation: Any) -> Any:
    """``f(p)`` of a NumPy array."""
    return hidden_function(function)(preactivation)[0]
