"""Masks of invalid actions, which an environment gives with each observation in ``info["action_mask"]``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from teamnet.errors import EnvironmentRefused, shown
from teamnet.training.flat_actions import choices_of

KEY = "action_mask"
"""In the info of an environment, as in those of Gymnasium."""


def mask_of(name: str, space: spaces.Space[Any], info: Any, *, over: bool = False) -> np.ndarray:
    """The valid actions of a state, float64 ``(size,)``: 1.0 for each category of each agent that may be chosen.

    Args:
        name: of the environment, for messages.
        space: of its actions, before they are flattened.
        info: of the environment, with a mask as ``space.sample(mask=...)`` takes it, or flat.
        over: whether the episode has ended, so that it does not matter that no action is valid.

    Raises:
        EnvironmentRefused: there is no mask, it does not fit, or it leaves no choice.
    """
    where = f"{name} info[{KEY!r}]"
    if not isinstance(info, Mapping) or KEY not in info:
        raise EnvironmentRefused(
            where, expected="a mask after every reset and step, as mask_actions is set", found=f"none in {shown(info)}",
            remedy="Leave mask_actions out, or add a wrapper that gives one.",
        )
    try:
        agents = masks_of_agents(space, info[KEY])
    except (ValueError, TypeError, KeyError) as error:
        raise EnvironmentRefused(
            where, expected=f"1 for each valid action of {space}, and 0 for the others",
            found=f"{shown(info[KEY])}, with {type(error).__name__}: {error}",
            remedy="Give what space.sample(mask=...) takes.",
        ) from None
    for number, agent in enumerate(agents):
        if not agent.any():
            if not over:
                raise EnvironmentRefused(
                    where, expected="a valid action" + (f" of choice {number}" if len(agents) > 1 else ""),
                    found=shown(info[KEY]), remedy="Leave an action valid, or end the episode there.",
                )
            agent[:] = 1.0
    return np.concatenate(agents)


def masks_of_agents(space: spaces.Space[Any], mask: Any) -> list[np.ndarray]:
    """The mask of each agent, in the order of the flat space.

    Raises:
        ValueError: it does not fit; or ``TypeError`` or ``KeyError``.
    """
    if isinstance(space, spaces.Dict | spaces.Tuple):
        named = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        parts = [(member, None if mask is None else mask[key]) for key, member in named]
        return [agent for member, part in parts for agent in masks_of_agents(member, part)]
    sizes = choices_of(space)
    if mask is None:
        return [np.ones(size) for size in sizes]
    numbers = np.concatenate([np.ravel(leaf) for leaf in _leaves(mask)]).astype(float)
    if isinstance(space, spaces.MultiBinary):  # 0 and 1: only this value; 2: both
        _check(numbers, len(sizes), (0.0, 1.0, 2.0))
        return [np.array([bit != 1.0, bit != 0.0], float) for bit in numbers]
    _check(numbers, int(sizes.sum()), (0.0, 1.0))
    return np.split(numbers, np.cumsum(sizes)[:-1])


def _leaves(mask: Any) -> Iterator[Any]:
    """The arrays of a mask that may be a tuple of them."""
    if isinstance(mask, tuple | list) and any(np.iterable(part) for part in mask):
        for part in mask:
            yield from _leaves(part)
    else:
        yield mask


def _check(numbers: np.ndarray, size: int, allowed: tuple[float, ...]) -> None:
    if numbers.size != size:
        raise ValueError(f"{numbers.size} numbers instead of {size}")
    if not np.isin(numbers, allowed).all():
        raise ValueError("other numbers")


class AppendedMask(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose observation is followed by its mask, so that both are replayed, sent and kept together.

    Args:
        name: of the environment, for messages.
        environment: with flat spaces.
        actions: its action space before that was flattened.

    Raises:
        EnvironmentRefused: its actions are not chosen.
    """

    def __init__(self, name: str, environment: gymnasium.Env[Any, Any], actions: spaces.Space[Any]) -> None:
        super().__init__(environment)
        self._name, self._actions = name, actions
        if not isinstance(environment.action_space, spaces.Discrete | spaces.MultiDiscrete):
            raise EnvironmentRefused(
                f"{name} action space", expected="Discrete or MultiDiscrete, or a Dict or Tuple of these, as "
                "mask_actions is set", found=str(actions), remedy="Leave mask_actions out.",
            )
        self.choices = int(choices_of(environment.action_space).sum())
        size = (environment.observation_space.shape or (0,))[0] + self.choices
        self.observation_space = spaces.Box(-np.inf, np.inf, (size,), np.float64)

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """See Gymnasium."""
        observation, info = self.env.reset(**options)
        return self._with_mask(observation, info), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """See Gymnasium."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        masked = self._with_mask(observation, info, over=bool(terminated or truncated))
        return masked, reward, terminated, truncated, info

    def _with_mask(self, observation: Any, info: Any, *, over: bool = False) -> np.ndarray:
        return np.concatenate([np.asarray(observation), mask_of(self._name, self._actions, info, over=over)])
