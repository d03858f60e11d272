"""The state that environments keep between episodes: the statistics of normalising wrappers.

An episode is replayed from its generator and its actions, so that all else that its observations depend on must be
known at its reset. Checkpoints keep:

- running means of any wrapper: attributes with the numbers or arrays ``mean``, ``var`` and ``count``, as in Gymnasium's
  ``NormalizeObservation`` and ``NormalizeReward``, and the latter's discounted return;
- the state that a wrapper or environment itself returns, if it has the two methods of :class:`KeepsState`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np

from teamnet.errors import CheckpointError, EnvironmentRefused
from teamnet.training.flat_actions import FlatActions
from teamnet.training.spaces import FlatObservations

_MOMENTS = ("mean", "var", "count")
_ACCUMULATED = "discounted_reward"
_REWARDS = gymnasium.wrappers.NormalizeReward
_FREEZES = "update_running_mean"
"""The attribute of Gymnasium's wrappers that sets whether they learn."""
_NOT_ALWAYS_THERE = (gymnasium.wrappers.PassiveEnvChecker, FlatObservations, FlatActions)
"""Wrappers of environments that a user has made, and of those that a run steps."""
_NUMBERS = (int, float, np.ndarray, np.generic)


@runtime_checkable
class KeepsState(Protocol):
    """A wrapper or environment whose state between episodes is kept in checkpoints.

    If it has an attribute ``training``, this is set to ``False`` where nothing is to be learned from observations:
    in ``teamnet eval`` and in :meth:`teamnet.TeamAgent.make_environment`.
    """

    def get_training_state(self) -> Any:
        """The state that lasts beyond an episode, as JSON types."""
        ...

    def set_training_state(self, state: Any) -> None:
        """Restore a state that :meth:`get_training_state` returned."""
        ...


class Statistics:
    """The state that an environment and its wrappers have between episodes.

    Args:
        environment: has been reset once, so that its wrappers have their state.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any]) -> None:
        layers = list(_layers_of(environment))
        self._givers = [(name, layer) for name, layer in layers if isinstance(layer, KeepsState)]
        self._moments = [
            (f"{name}.{attribute}", layer, attribute)
            for name, layer in layers if not isinstance(layer, KeepsState) for attribute in _running_means(layer)
        ]
        self._rewards = [(f"{name}.{_ACCUMULATED}", layer) for name, layer in layers if isinstance(layer, _REWARDS)]

    def capture(self) -> dict[str, Any]:
        """The state by layer and attribute, as JSON types; empty for an environment that has none.

        Raises:
            EnvironmentRefused: a layer's own state is not made of JSON types.
        """
        state = {name: _as_json(name, layer.get_training_state()) for name, layer in self._givers}
        for name, layer, attribute in self._moments:
            state[name] = {part: _plain(getattr(getattr(layer, attribute), part)) for part in _MOMENTS}
        for name, layer in self._rewards:
            state[name] = _plain(layer.discounted_reward)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the state that :meth:`capture` returned.

        Raises:
            CheckpointError: the environment has other layers.
        """
        own = [name for name, *_ in (*self._givers, *self._moments, *self._rewards)]
        if set(own) != set(state):
            raise CheckpointError(
                "environment", expected=f"wrappers with the state {', '.join(sorted(state)) or 'of none'}",
                found=", ".join(sorted(own)) or "none", remedy="Use the wrappers with which the run was trained.",
            )
        for name, layer in self._givers:
            layer.set_training_state(_as_json(name, state[name]))
        for name, layer, attribute in self._moments:
            for part, value in state[name].items():
                setattr(getattr(layer, attribute), part, _array(value))
        for name, layer in self._rewards:
            layer.discounted_reward = _array(state[name])


def _layers_of(environment: gymnasium.Env[Any, Any]) -> Iterator[tuple[str, Any]]:
    """An environment's wrappers from the outermost to the environment itself, each with a unique name."""
    depth, layer = 0, environment
    while True:
        while isinstance(layer, _NOT_ALWAYS_THERE):
            layer = layer.env
        yield f"{depth}.{type(layer).__name__}", layer
        if not isinstance(layer, gymnasium.Wrapper):
            return
        depth, layer = depth + 1, layer.env


def freeze(environment: gymnasium.Env[Any, Any]) -> None:
    """Stop the wrappers of an environment from learning from its observations and rewards."""
    for _, layer in _layers_of(environment):
        if _can_freeze(layer):
            layer.update_running_mean = False
        elif isinstance(layer, KeepsState) and hasattr(layer, "training"):
            setattr(layer, "training", False)  # noqa: B010 - not every layer with a state has it


def cannot_freeze(environment: gymnasium.Env[Any, Any]) -> list[str]:
    """The layers with running means that :func:`freeze` does not reach."""
    return [
        name for name, layer in _layers_of(environment)
        if any(_running_means(layer)) and not _can_freeze(layer) and not isinstance(layer, KeepsState)
    ]


def _running_means(layer: Any) -> Iterator[str]:
    """The names of a layer's attributes that are running means."""
    for attribute, value in vars(layer).items():
        try:
            parts = object.__getattribute__(value, "__dict__")  # calls no user-defined __getattr__
        except AttributeError:
            continue
        if all(isinstance(parts.get(part), _NUMBERS) for part in _MOMENTS):
            yield attribute


def _can_freeze(layer: Any) -> bool:
    return _FREEZES in vars(layer) or hasattr(type(layer), _FREEZES)


def _plain(value: Any) -> Any:
    if not isinstance(value, np.ndarray | np.generic):
        return value
    return {"dtype": value.dtype.str, "shape": list(value.shape), "values": value.ravel().tolist()}


def _array(plain: Any) -> Any:
    if not isinstance(plain, dict):
        return plain
    return np.array(plain["values"], np.dtype(plain["dtype"])).reshape(plain["shape"])


def _as_json(name: str, state: Any) -> Any:
    """A copy of a state, through JSON."""
    try:
        return json.loads(json.dumps(state))
    except (TypeError, ValueError, RecursionError) as error:
        raise EnvironmentRefused(
            name, expected="a training state of JSON types", found=f"{type(error).__name__}: {error}",
            remedy="Return numbers, strings, lists and dictionaries from get_training_state.",
        ) from None
