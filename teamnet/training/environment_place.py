"""Where an environment is: in this process, or in another one; rows use both alike."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium

from teamnet.training.statistics import Statistics


class Place(Protocol):
    """An environment, wherever it is: ``send`` begins a call of one of its methods, ``receive`` has the result."""

    action_space: Any

    def send(self, method: str, *arguments: Any) -> None:
        """Begin ``reset``, ``step`` or another method of :class:`Here`."""
        ...

    def receive(self) -> Any:
        """The result of the call that was begun last.

        Raises:
            Exception: that the environment has raised.
        """
        ...


class Here:
    """An environment in this process; calls are done when their results are asked for.

    Args:
        environment: with flat spaces.
    """

    def __init__(self, environment: gymnasium.Env[Any, Any]) -> None:
        self.environment, self.action_space = environment, environment.action_space
        self._statistics: Statistics | None = None
        self._method = ""
        self._arguments: tuple[Any, ...] = ()

    def send(self, method: str, *arguments: Any) -> None:
        """See :class:`Place`."""
        self._method, self._arguments = method, arguments

    def receive(self) -> Any:
        """See :class:`Place`."""
        if self._method == "step":  # first and at once: it is called in every step of a run
            return self.environment.step(*self._arguments)
        return getattr(self, self._method)(*self._arguments)

    def reset(self, seed: int | None = None) -> Any:
        """The first observation of an episode; without a seed as the present generator draws it."""
        observation, _ = self.environment.reset() if seed is None else self.environment.reset(seed=seed)
        return observation

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, Any]:
        """What the environment returns: observation, reward, whether it has ended and was truncated, and its info."""
        return self.environment.step(action)

    def origin(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The state of the generator, and the state that wrappers keep between episodes."""
        self._statistics = self._statistics or Statistics(self.environment)  # some have theirs only after a reset
        return dict(self.environment.unwrapped.np_random.bit_generator.state), self._statistics.capture()

    def go_to(self, generator: dict[str, Any], statistics: dict[str, Any]) -> None:
        """Go to what :meth:`origin` returned."""
        self._statistics = self._statistics or Statistics(self.environment)
        self.environment.unwrapped.np_random.bit_generator.state = generator
        self._statistics.restore(statistics)

    def statistics(self) -> dict[str, Any]:
        """The state that wrappers keep between episodes."""
        return self.origin()[1]

    def close(self) -> None:
        """Close the environment."""
        self.environment.close()
