"""Environments with the flat spaces in which a team can act."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
from gymnasium import spaces

from teamnet.errors import EnvironmentRefused, Notice
from teamnet.spec.presets import environment_id
from teamnet.spec.resolve import Interface
from teamnet.spec.run import RunSpec
from teamnet.training.action_masks import AppendedMask
from teamnet.training.environment_maker import Maker, made_of_spec
from teamnet.training.flat_actions import FlatActions, flat_actions
from teamnet.training.registry import refusing
from teamnet.training.structure import Structure

Environment = gymnasium.Env[Any, Any]
_IMAGE = 16
"""The least height and width of an array that is taken for an image."""
MOST_NUMBERS = 100_000_000
"""In an observation: a ``Discrete`` space has one for each of its values."""
_OBSERVED = (spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete)


def make_environment(spec: RunSpec, render_mode: str | None = None, make: Maker | None = None) -> Environment:
    """One environment of the run's task.

    Args:
        spec: of the run.
        render_mode: of the environment.
        make: makes it, where Python code has given what the spec cannot name.

    Raises:
        EnvironmentRefused: it does not exist, something that it needs is not installed, or its spaces do not fit.
    """
    name = environment_id(spec.task)
    with refusing(name):
        environment = made_of_spec(spec, render_mode) if make is None else make(render_mode)
    observations, actions = (getattr(environment, f"{kind}_space", None) for kind in ("observation", "action"))
    if not isinstance(observations, spaces.Space) or not _can_be_flat(observations):
        raise EnvironmentRefused(
            f"{name} observation space", expected="Box, Discrete, MultiBinary, MultiDiscrete, or a Dict or Tuple of "
            "these", found=str(observations),
            remedy="Wrap the environment in gymnasium.wrappers.TransformObservation, which returns a flat Box.",
        )
    if (size := spaces.flatdim(observations)) > MOST_NUMBERS:
        raise EnvironmentRefused(
            f"{name} observation space", expected=f"at most {MOST_NUMBERS:,} numbers", found=f"{size:,}",
            remedy="Wrap the environment in gymnasium.wrappers.TransformObservation, which returns fewer.",
        )
    flat = flat_actions(actions)
    find_interface(name, spaces.flatten_space(observations), actions if flat is None else flat)
    return environment


class FlatObservations(gymnasium.wrappers.FlattenObservation[Any, Any, Any]):
    """An environment that a run has flattened, unlike one that a user has."""


def flat_environment(name: str, environment: Environment, *, masked: bool) -> tuple[Environment, Structure]:
    """An environment with flat observations and flat actions, and what they are without.

    Args:
        name: of the environment, for messages.
        environment: that :func:`make_environment` has made.
        masked: whether each observation is followed by the mask of valid actions.

    Raises:
        EnvironmentRefused: actions that are to be masked are not chosen.
    """
    observations, actions = environment.observation_space, environment.action_space
    if flattens := not (isinstance(observations, spaces.Box) and len(observations.shape) == 1):
        environment = FlatObservations(environment)
        _tell(name, observations, environment.observation_space)
    flat = flat_actions(actions)
    acts_flat = flat is None or flat is actions
    if flat is not None and not acts_flat:
        environment = FlatActions(environment, flat)
    if masked:
        environment = AppendedMask(name, environment, actions)
    return environment, Structure(observations if flattens else None, None if acts_flat else actions)


def _can_be_flat(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return all(map(_can_be_flat, space.spaces.values()))
    return all(map(_can_be_flat, space.spaces)) if isinstance(space, spaces.Tuple) else isinstance(space, _OBSERVED)


def _tell(name: str, space: spaces.Space[Any], flat: spaces.Space[Any]) -> None:
    """Warn that observations are flattened; Python shows a warning once in a process."""
    size, shape = (flat.shape or (0,))[0], space.shape or ()
    text = f"{name}: each observation, of {type(space).__name__}{shape or ''}, is flattened to {size:,} numbers"
    if isinstance(space, spaces.Box) and len(shape) > 1 and min(shape[:2]) >= _IMAGE:
        text += (
            "; to keep images small and their numbers between 0 and 1, add wrappers: "
            "gymnasium.wrappers:GrayscaleObservation, gymnasium.wrappers:ResizeObservation(shape=(32, 32)) and "
            "gymnasium.wrappers:RescaleObservation(min_obs=0.0, max_obs=1.0)"
        )
    warnings.warn(text, Notice, stacklevel=2)


def find_interface(name: str, observations: spaces.Space[Any] | None, actions: spaces.Space[Any] | None) -> Interface:
    """The interface of the teams to these flat spaces.

    Raises:
        EnvironmentRefused: observations are not a flat Box, actions none of the flat spaces, or either is empty.
    """
    if not isinstance(observations, spaces.Box) or len(observations.shape) != 1 or not observations.shape[0]:
        raise EnvironmentRefused(
            f"{name} observation space", expected="at least one number", found=str(observations),
            remedy="Return a flat Box of at least one number.",
        )
    size = observations.shape[0]
    if isinstance(actions, spaces.Discrete):
        return Interface(size, int(actions.n), "categorical")
    if isinstance(actions, spaces.MultiDiscrete) and actions.nvec.ndim == 1 and actions.nvec.size:
        choices = tuple(int(number) for number in actions.nvec)
        return Interface(size, sum(choices), "categorical", choices=choices)
    if isinstance(actions, spaces.MultiBinary) and len(actions.shape) == 1 and actions.shape[0]:
        return Interface(size, actions.shape[0], "bernoulli")
    if isinstance(actions, spaces.Box) and len(actions.shape) == 1 and actions.shape[0]:
        return Interface(size, actions.shape[0], "gaussian")
    raise EnvironmentRefused(
        f"{name} action space", expected="Discrete, MultiDiscrete, MultiBinary or Box, or a Dict or Tuple of Boxes, or "
        "of the others", found=str(actions),
        remedy="Wrap the environment in gymnasium.wrappers.TransformAction, which maps one of these to this space.",
    )
