"""Actions of Dict, Tuple and of arrays of any shape as one flat action, by Gymnasium's functions."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces


def flat_actions(space: Any) -> spaces.Space[Any] | None:
    """The flat space of an action space; ``None`` if there is none.

    ``Discrete`` and flat spaces are their own. Of several parts, all are Boxes, which make one ``Box``; or none is, and
    each choice is an agent of one ``MultiDiscrete``.
    """
    if isinstance(space, spaces.Discrete):
        return space
    parts = _parts(space)
    if parts is None:
        return None
    if len(parts) == 1 and parts[0] is space and len(space.shape or ()) == 1:
        return space
    if all(isinstance(part, spaces.Box) for part in parts):
        dtype = np.result_type(*(part.dtype for part in parts if part.dtype is not None))
        low, high = (
            np.concatenate([getattr(part, bound).ravel() for part in parts]).astype(dtype) for bound in ("low", "high")
        )
        return spaces.Box(low, high, dtype=dtype.type)
    if all(isinstance(part, spaces.MultiBinary) for part in parts):
        return spaces.MultiBinary(sum(int(np.prod(part.shape or ())) for part in parts))
    if any(isinstance(part, spaces.Box) for part in parts):
        return None
    return spaces.MultiDiscrete(np.concatenate([choices_of(part) for part in parts]))


def _parts(space: Any) -> list[spaces.Space[Any]] | None:
    """The spaces that a space is made of, in Gymnasium's order; ``None`` if a team cannot act in one of them."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        members = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        found = [_parts(member) for member in members]
        return None if None in found or not found else [part for parts in found for part in parts or ()]
    known = spaces.Box, spaces.Discrete, spaces.MultiBinary, spaces.MultiDiscrete
    return [space] if isinstance(space, known) and np.prod(space.shape or ()) > 0 else None


def choices_of(space: spaces.Space[Any]) -> np.ndarray:
    """The categories of each agent that acts in a space of choices."""
    if isinstance(space, spaces.Discrete):
        return np.array([int(space.n)])
    if isinstance(space, spaces.MultiDiscrete):
        return space.nvec.ravel()
    return np.full(int(np.prod(space.shape or ())), 2)


class FlatActions(gymnasium.ActionWrapper[Any, Any, Any]):
    """An environment whose action is one array.

    Args:
        environment: with another action space.
        flat: what :func:`flat_actions` found for that.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any], flat: spaces.Space[Any]) -> None:
        super().__init__(environment)
        self.action_space = flat

    def action(self, action: Any) -> Any:
        """The environment's own action for a flat one."""
        return unflattened(self.env.action_space, np.asarray(action))


def unflattened(space: spaces.Space[Any], action: np.ndarray) -> Any:
    """The action of a space for one of its flat space; ``MultiDiscrete`` counts from 0 there."""
    return _taken(space, list(action))


def _taken(space: spaces.Space[Any], left: list[Any]) -> Any:
    """The action of a space, whose numbers are taken from the front of those that are left."""
    if isinstance(space, spaces.Dict):
        return {name: _taken(member, left) for name, member in space.spaces.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(_taken(member, left) for member in space.spaces)
    if isinstance(space, spaces.Discrete):
        return space.start + space.dtype.type(left.pop(0))
    shape = space.shape or ()
    numbers = [left.pop(0) for _ in range(int(np.prod(shape)))]
    start = space.start if isinstance(space, spaces.MultiDiscrete) else 0
    return (np.array(numbers).reshape(shape) + start).astype(space.dtype)
