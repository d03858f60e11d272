"""Which spaces a team can act in, and how its output becomes an action."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from teamnet.errors import EnvironmentRefused
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
    observations, actions = (getattr(environment, f"{its}_space", None) for its in ("observation", "action"))
    find_interface(name, observations, actions)
    return environment


def find_interface(name: str, observations: spaces.Space[Any] | None, actions: spaces.Space[Any] | None) -> Interface:
    """What the spaces mean for the teams.

    Raises:
        EnvironmentRefused: observations are not a flat Box, or actions neither Discrete nor a flat Box, or empty.
    """
    if not isinstance(observations, spaces.Box) or len(observations.shape) != 1 or not observations.shape[0]:
        image = isinstance(observations, spaces.Box) and len(observations.shape) > 1
        raise EnvironmentRefused(
            f"{name} observation space", expected="a flat Box", found=str(observations),
            mend="Wrap the environment in gymnasium.wrappers.FlattenObservation"
            + (", after GrayscaleObservation and ResizeObservation to keep it small." if image else "."),
        )
    size = observations.shape[0]
    if isinstance(actions, spaces.Discrete):
        return Interface(size, int(actions.n), "categorical")
    if isinstance(actions, spaces.Box) and len(actions.shape) == 1 and actions.shape[0]:
        return Interface(size, actions.shape[0], "gaussian")
    raise EnvironmentRefused(
        f"{name} action space", expected="Discrete or a flat Box", found=str(actions),
        mend="Wrap the environment in gymnasium.wrappers.TransformAction, which maps one Discrete to this space.",
    )


class ActionMap:
    """From a team's output, one row of activations, to an action of the space.

    A categorical output is one-hot over ``Discrete`` (which may start above 0); a Gaussian one becomes
    ``clip(scale * output + offset)``, where scale and offset span the space unless the spec gives them.
    """

    def __init__(self, spec: RunSpec, actions: spaces.Space[Any]) -> None:
        self._first = int(actions.start) if isinstance(actions, spaces.Discrete) else None
        if isinstance(actions, spaces.Box):
            self._low, self._high = actions.low.astype(float), actions.high.astype(float)
            with np.errstate(over="ignore", invalid="ignore"):
                bounded = np.isfinite(self._high - self._low) & np.isfinite(self._high + self._low)
            low, high = np.where(bounded, self._low, -1.0), np.where(bounded, self._high, 1.0)
            if actions.dtype is not None and np.issubdtype(actions.dtype, np.integer):  # floats round 2**63 - 1 up
                self._high = np.minimum(self._high, np.nextafter(float(np.iinfo(actions.dtype).max) + 1.0, 0.0))
            self._scale = (high - low) / 2 if spec.action_scale is None else spec.action_scale
            self._offset = (high + low) / 2 if spec.action_offset is None else spec.action_offset
            self._kind = actions.dtype

    def __call__(self, output: np.ndarray) -> Any:
        """The action for an output ``(size,)``."""
        if self._first is not None:
            return self._first + int(output.argmax())
        with np.errstate(over="ignore"):  # beyond all floats is beyond the bounds
            return np.clip(self._scale * output + self._offset, self._low, self._high).astype(self._kind)
