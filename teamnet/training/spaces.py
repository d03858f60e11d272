"""Which spaces a team can act in, and how its output becomes an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from teamnet.errors import EnvironmentRefused, shown
from teamnet.spec.presets import environment_id
from teamnet.spec.resolve import Interface
from teamnet.spec.run import RunSpec
from teamnet.training.registry import refusing


def make_environment(spec: RunSpec, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """One environment of the run's task.

    Raises:
        EnvironmentRefused: it does not exist, something that it needs is not installed, or its spaces do not fit.
    """
    name = environment_id(spec.task)
    with refusing(name):
        rendering: dict[str, Any] = {} if render_mode is None else {"render_mode": render_mode}
        environment = gymnasium.make(name, disable_env_checker=True, **rendering)
    observations, actions = (getattr(environment, f"{kind}_space", None) for kind in ("observation", "action"))
    find_interface(name, observations, actions)
    return environment


def find_interface(name: str, observations: spaces.Space[Any] | None, actions: spaces.Space[Any] | None) -> Interface:
    """The interface of the teams to these spaces.

    Raises:
        EnvironmentRefused: observations are not a flat Box, or actions neither Discrete nor a flat Box, or empty.
    """
    if not isinstance(observations, spaces.Box) or len(observations.shape) != 1 or not observations.shape[0]:
        image = isinstance(observations, spaces.Box) and len(observations.shape) > 1
        raise EnvironmentRefused(
            f"{name} observation space", expected="a flat Box", found=str(observations),
            remedy="Wrap the environment in gymnasium.wrappers.FlattenObservation"
            + (", after GrayscaleObservation and ResizeObservation to keep it small." if image else "."),
        )
    size = observations.shape[0]
    if isinstance(actions, spaces.Discrete):
        return Interface(size, int(actions.n), "categorical")
    if isinstance(actions, spaces.Box) and len(actions.shape) == 1 and actions.shape[0]:
        return Interface(size, actions.shape[0], "gaussian")
    raise EnvironmentRefused(
        f"{name} action space", expected="Discrete or a flat Box", found=str(actions),
        remedy="Wrap the environment in gymnasium.wrappers.TransformAction, which maps one Discrete to this space.",
    )


@dataclass(frozen=True)
class ActionMap:
    """From a team's output, one row of activations, to an action of the space.

    A categorical output is one-hot over ``Discrete`` (which may start above 0); a Gaussian one becomes
    ``clip(scale * output + offset)``, where scale and offset span the space unless the spec gives them.

    Args:
        first: the action of the first unit of a categorical output; ``None`` for a continuous action.
        scale, offset, low, high: of a continuous action, float64 ``(size,)`` each.
        dtype: of a continuous action.
    """

    first: int | None = None
    scale: np.ndarray | None = None
    offset: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    dtype: str = "float64"

    @classmethod
    def of_space(cls, spec: RunSpec, actions: spaces.Space[Any]) -> ActionMap:
        """The map to the actions of an environment.

        Args:
            spec: of the run, which may give scale and offset.
            actions: ``Discrete``, or a flat ``Box``.
        """
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
        with np.errstate(over="ignore"):  # an overflow is beyond the bounds
            return np.clip(self.scale * output + self.offset, self.low, self.high).astype(self.dtype)

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
        found = cls(**values)
        arrays = [values.get(name) for name in ("scale", "offset", "low", "high")]
        if found.first is None:
            shapes = {array.shape for array in arrays if isinstance(array, np.ndarray) and array.ndim == 1}
            valid = len(shapes) == 1 and all(isinstance(array, np.ndarray) for array in arrays)
            valid = valid and not any(np.isnan(array).any() for array in arrays if array is not None)
        else:
            valid = type(found.first) is int and abs(found.first) < 2**63 and arrays == [None] * 4
        if not valid or not isinstance(found.dtype, str) or np.dtype(found.dtype).kind not in "fiu":
            raise ValueError(f"{shown(dict(plain))} as a map to actions")
        return found
