"""What observations and actions are before they are flattened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import batch_space, iterate

from teamnet.errors import SpecError, shown
from teamnet.training.flat_actions import unflattened
from teamnet.training.plain_spaces import plain_space, space_of


@dataclass(frozen=True)
class Structure:
    """The spaces of an environment whose observations or actions a run flattens.

    Args:
        observation: ``None`` for a flat Box, which stays as it is.
        action: ``None`` for a flat space, which stays as it is.
    """

    observation: spaces.Space[Any] | None = None
    action: spaces.Space[Any] | None = None

    def flat(self, observation: Any) -> tuple[Any, bool]:
        """Observations as an array, and whether it is one alone.

        Args:
            observation: one of the space, or a batch of them as Gymnasium's vector environments return it.

        Raises:
            SpecError: it is neither.
        """
        space = self.observation
        try:
            if space is None:
                return observation, np.ndim(observation) < 2
            leaf, value = _first_leaf(space, observation)
            alone = np.ndim(value) == len(leaf.shape or ())
            batch = [observation] if alone else iterate(batch_space(space, 1), observation)
            return np.array([spaces.flatten(space, one) for one in batch], np.float64), alone
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise SpecError(
                "observation", expected=f"one of {space}, or a batch", remedy="Give what the environment returns.",
                found=f"{shown(observation)}, with {type(error).__name__}: {error}",
            ) from None

    def act(self, action: Any) -> Any:
        """The environment's own action for a flat one."""
        return action if self.action is None else unflattened(self.action, np.asarray(action))

    def as_plain(self) -> dict[str, Any]:
        """The spaces as JSON types."""
        return {name: None if space is None else plain_space(space) for name, space in vars(self).items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Structure:
        """The spaces that :meth:`as_plain` wrote.

        Raises:
            ValueError: it did not write this; some such values raise ``KeyError`` or ``TypeError``.
        """
        return cls(**{name: None if space is None else space_of(space) for name, space in plain.items()})


def _first_leaf(space: spaces.Space[Any], value: Any) -> tuple[spaces.Space[Any], Any]:
    """The first part of a space that has no parts, and the part of a value that belongs to it."""
    if isinstance(space, spaces.Dict):
        name, part = next(iter(space.spaces.items()))
        return _first_leaf(part, value[name])
    return _first_leaf(space.spaces[0], value[0]) if isinstance(space, spaces.Tuple) else (space, value)
