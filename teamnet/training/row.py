"""One environment of a batch: its episode, and how it is replayed to a point of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from teamnet.errors import EnvironmentRefused
from teamnet.training.environment_place import Place
from teamnet.training.task import ReplayDiffers
from teamnet.training.watch import Watch


class Answer(NamedTuple):
    """The answer of an environment to an action or a reset."""

    observation: Any
    reward: float
    terminated: bool
    truncated: bool


class Origin(NamedTuple):
    """What an episode is replayed from: the generator, and what the wrappers keep between episodes."""

    generator: dict[str, Any]
    statistics: dict[str, Any]


class Row:
    """One environment, its episode, and the data to replay it: its origin and the actions since.

    An answer counts once it is accepted. Until then the environment may be ahead of the state recorded here; it is then
    replayed to that state before it is stepped again.
    """

    def __init__(self, place: Place, seed: int, watch: Watch) -> None:
        self.place, self._watch = place, watch
        self._do_there("reset", seed)
        self.origin = Origin({}, {})
        self.actions: list[Any] = []
        self.total = 0.0
        self.over = True
        self.first = self.observation = np.zeros(0)
        self._next_origin: Origin | None = None
        self._ahead = False

    def _do_there(self, method: str, *arguments: Any) -> Any:
        self.place.send(method, *arguments)
        return self._watch.ask(self.place.receive)

    def statistics(self) -> dict[str, Any]:
        """The state that the environment's wrappers keep between episodes."""
        return self._do_there("statistics")

    def begin(self, action: Any) -> None:
        """Begin to step the environment with an action, or to reset it if the last episode is over."""
        if self._ahead:
            self._go_back()
        if self.over:
            self._next_origin = self._next_origin or Origin(*self._do_there("origin"))
            self._ahead = True
            self.place.send("reset")
        else:
            self._ahead = True
            self.place.send("step", _given(action))

    def finish(self) -> Answer:
        """The answer to what was begun."""
        found = self._watch.ask(self.place.receive)
        if self.over:
            return Answer(found, 0.0, False, False)
        observation, reward, terminated, truncated, _ = found
        return Answer(observation, float(reward), _as_bool(terminated), _as_bool(truncated))

    def accept(self, action: Any, answer: Answer, observation: np.ndarray) -> None:
        """Record the answer to an action.

        Args:
            action: given to the environment.
            answer: to it.
            observation: of the answer, float64; an array that does not change until the next answer is accepted.
        """
        if self.over:
            assert self._next_origin
            self.origin, self._next_origin = self._next_origin, None
            self.actions, self.total, self.over, self.first = [], 0.0, False, observation.copy()
        else:
            self.actions.append(action)
            self.total += answer.reward
            self.over = answer.terminated or answer.truncated
        self.observation = observation
        self._ahead = False

    def _go_to(self, origin: Origin) -> None:
        self._do_there("go_to", *origin)

    def _go_back(self) -> None:
        """Replay the environment to its state after the last accepted answer."""
        if self.over:
            if self._next_origin:
                self._go_to(self._next_origin)
            return
        self._go_to(self.origin)
        observation = self._do_there("reset")
        for action in self.actions:
            observation, *_ = self._do_there("step", _given(action))
        if not np.array_equal(_numbers(observation), self.observation):
            raise EnvironmentRefused(
                "environment", expected="the observation at which its step was interrupted, from its generator and "
                "actions", found="another one", remedy="Such an environment cannot be replayed: start a new run.",
            )

    def replay(self, state: dict[str, Any]) -> None:
        """Go to the state of another row; see :meth:`plain`."""
        self._next_origin = Origin(state["generator"], state.get("statistics", {}))
        self._go_to(self._next_origin)
        self.over, self._ahead = True, False
        self._do(None)
        if not np.array_equal(self.first, state["first"]):
            raise ReplayDiffers("an episode with another first observation")
        for action in state["actions"]:
            action = action if isinstance(action, int) else np.array(action, self.place.action_space.dtype)
            self._do(action)
        if self.over is not state["over"]:
            raise ReplayDiffers("an episode with another end")

    def _do(self, action: Any) -> None:
        self.begin(action)
        answer = self.finish()
        self.accept(action, answer, _numbers(answer.observation))

    def plain(self) -> dict[str, Any]:
        """What :meth:`replay` takes, as JSON types."""
        return {
            "generator": _plain(self.origin.generator), "statistics": self.origin.statistics, "over": self.over,
            "first": self.first.tolist(),
            "actions": [action if isinstance(action, int) else action.tolist() for action in self.actions],
        }


def _given(action: Any) -> Any:
    """A copy of an action for the environment, which may change an array in place."""
    return action if isinstance(action, int) else action.copy()


def _numbers(observation: Any) -> np.ndarray:
    """A copy of an observation, float64: environments may change the array that they have returned."""
    return np.array(observation, np.float64)


def _as_bool(flag: Any) -> bool:
    if flag not in (0, 1):
        raise ValueError(f"{flag!r} as the end of an episode")
    return bool(flag)


def _plain(state: Any) -> Any:
    """A bit generator's state with Python's own numbers."""
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    if isinstance(state, np.ndarray):
        return state.tolist()
    return state.item() if isinstance(state, np.generic) else state
