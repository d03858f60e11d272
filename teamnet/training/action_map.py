"""How a team's output becomes an action of a flat space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces

from teamnet.errors import shown
from teamnet.spec.run import RunSpec


@dataclass(frozen=True)
class ActionMap:
    """From a team's output, one row of activations, to an action of the space.

    A categorical output is one-hot over ``Discrete`` (which may start above 0), or for each agent over a part of
    ``MultiDiscrete``; a Bernoulli one is ``MultiBinary``; a Gaussian one becomes ``clip(scale * output + offset)``,
    where scale and offset span the space unless the spec gives them, rounded where actions are integers.

    Args:
        first: the action of the first unit of a categorical output; ``None`` for an array.
        scale, offset, low, high: of a continuous action, float64 ``(size,)`` each.
        dtype: of an array.
        choices: the categories of each agent of ``MultiDiscrete``, whose actions begin at ``offset``.
    """

    first: int | None = None
    scale: np.ndarray | None = None
    offset: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    dtype: str = "float64"
    choices: tuple[int, ...] = ()

    @classmethod
    def of_space(cls, spec: RunSpec, actions: spaces.Space[Any]) -> ActionMap:
        """The map to the actions of an environment.

        Args:
            spec: of the run, which may give scale and offset.
            actions: ``Discrete``, or ``MultiDiscrete``, ``MultiBinary`` or ``Box`` with one dimension.
        """
        if isinstance(actions, spaces.MultiDiscrete):
            choices = tuple(int(number) for number in actions.nvec)
            return cls(offset=actions.start.astype(float), dtype=actions.dtype.str, choices=choices)
        if isinstance(actions, spaces.MultiBinary):
            zeros, ones = np.zeros(actions.shape), np.ones(actions.shape)
            return cls(None, ones, zeros, zeros, ones, np.dtype(actions.dtype or np.int8).str)
        if not isinstance(actions, spaces.Box):
            return cls(first=int(getattr(actions, "start", 0)))
        dtype = np.dtype(actions.dtype or np.float64)
        low, high = actions.low.astype(float), actions.high.astype(float)
        with np.errstate(over="ignore", invalid="ignore"):
            bounded = np.isfinite(high - low) & np.isfinite(high + low)
        from_, to = np.where(bounded, low, -1.0), np.where(bounded, high, 1.0)
        if np.issubdtype(dtype, np.integer):  # floats round 2**63 - 1 up
            high = np.minimum(high, np.nextafter(float(np.iinfo(dtype).max) + 1.0, 0.0))
        scale = (to - from_) / 2 if spec.action_scale is None else np.full(low.shape, spec.action_scale)
        offset = (to + from_) / 2 if spec.action_offset is None else np.full(low.shape, spec.action_offset)
        return cls(None, scale, offset, low, high, dtype.str)

    def __call__(self, output: np.ndarray) -> Any:
        """The action for an output ``(size,)``."""
        if self.first is not None:
            return self.first + int(output.argmax())
        if self.choices:
            places, begun = [], 0
            for size in self.choices:
                places.append(output[begun : begun + size].argmax())
                begun += size
            return (np.array(places) + self.offset).astype(self.dtype)
        with np.errstate(over="ignore"):  # an overflow is beyond the bounds
            action = np.clip(self.scale * output + self.offset, self.low, self.high)
        return (action if np.dtype(self.dtype).kind == "f" else np.rint(action)).astype(self.dtype)

    def as_plain(self) -> dict[str, Any]:
        """The map as JSON types."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(self).items()
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> ActionMap:
        """The map that :meth:`as_plain` wrote.

        Raises:
            ValueError: it did not write this; some such values raise ``TypeError``.
        """
        values: dict[str, Any] = {
            name: np.array(value, np.float64) if isinstance(value, list) else value for name, value in plain.items()
        }
        found = cls(**{**values, "choices": tuple(plain.get("choices", ()))})
        arrays = [values.get(name) for name in ("scale", "offset", "low", "high")]
        if found.choices:
            valid = all(type(size) is int and size > 0 for size in found.choices) and found.first is None
            valid = valid and isinstance(found.offset, np.ndarray) and found.offset.shape == (len(found.choices),)
        elif found.first is None:
            shapes = {array.shape for array in arrays if isinstance(array, np.ndarray) and array.ndim == 1}
            valid = len(shapes) == 1 and all(isinstance(array, np.ndarray) for array in arrays)
            valid = valid and not any(np.isnan(array).any() for array in arrays if array is not None)
        else:
            valid = type(found.first) is int and abs(found.first) < 2**63 and arrays == [None] * 4
        if not valid or not isinstance(found.dtype, str) or np.dtype(found.dtype).kind not in "fiub":
            raise ValueError(f"{shown(dict(plain))} as a map to actions")
        return found
