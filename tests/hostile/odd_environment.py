"""An environment that answers as it is told, well or badly."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

NAME = "teamnet/Odd-v0"
RIGHT, WRONG, HUGE = "right", "wrong", "huge"
"""What an answer leads to: a step that counts, an error, or one of the two."""


class Broken(Exception):
    """An error of the environment's own."""


class Answer(NamedTuple):
    """What one reset or step answers, by name; see the tables below."""

    observation: str = "array"
    reward: str = "one"
    ending: str = "no"
    whole: str = "five"


OBSERVATIONS = {
    RIGHT: {
        "array": np.array([0.5, -0.5], np.float32), "double": np.array([0.25, 0.0]), "list": [0.1, 0.2],
        "tuple": (1, 2), "integers": np.array([3, -4], np.int8), "flags": np.array([True, False]),
        "tiny": np.array([5e-324, -0.0]),
    },
    WRONG: {
        "nothing": None, "nan": np.array([np.nan, 0.0]), "infinity": np.array([0.0, np.inf]),
        "both infinities": np.array([np.inf, -np.inf]), "number": 0.5, "short": np.zeros(1), "long": np.zeros(3),
        "column": np.zeros((2, 1)), "row": np.zeros((1, 2)), "empty": np.zeros(0), "imaginary": np.zeros(2, complex),
        "words": np.array(["1", "2"]), "objects": np.array([object(), 1]), "object": object(), "dictionary": {"a": 1},
        "ragged": [[1], 2], "beyond": [10**400, 0], "dates": np.array([0, 1], "datetime64[s]"),
    },
    HUGE: {"largest": np.array([1.7e308, 1.7e308]), "large": np.array([1e200, -1e200])},
}
REWARDS = {
    RIGHT: {
        "one": 1.0, "whole": -2, "flag": True, "single": np.float32(0.5), "zero": 0, "array": np.array(2.0),
    },
    WRONG: {
        "nothing": None, "nan": float("nan"), "infinity": float("inf"), "minus infinity": -float("inf"),
        "imaginary": 1j, "word": "much", "two": np.array([1.0, 2.0]), "list": [1.0], "object": object(),
        "beyond": 10**400,
    },
    HUGE: {"largest": 1e308, "smallest": -1e308, "large": 1e200},
}
ENDINGS: dict[str, dict[str, tuple[Any, Any]]] = {
    RIGHT: {
        "no": (False, False), "over": (True, False), "cut": (False, True), "over and cut": (True, True),
        "number": (1, 0), "numpy": (np.bool_(True), np.bool_(False)),
    },
    WRONG: {
        "nothing": (None, False), "word": ("yes", False), "two": (2, False), "nan": (False, float("nan")),
        "array": (np.array([True, False]), False), "half": (False, 0.5),
    },
}
ERRORS = {
    "raise": Broken("out of order"), "key": KeyError("x"), "memory": MemoryError(), "recursion": RecursionError(),
    "stop": StopIteration(), "assertion": AssertionError(), "overflow": OverflowError("x"), "exit": EOFError(),
}
WHOLES = {RIGHT: {"five": 0}, WRONG: {"four": 0, "six": 0, "none": 0, "number": 0, **dict.fromkeys(ERRORS, 0)}}


def kind_of(answer: Answer, *, reset: bool) -> str:
    """What an answer leads to; a reset has no reward and no ending."""
    tables = (OBSERVATIONS, WHOLES) if reset else (OBSERVATIONS, REWARDS, ENDINGS, WHOLES)
    names = (answer.observation, answer.whole) if reset else answer
    kinds = {
        next(kind for kind, its in table.items() if name in its) for table, name in zip(tables, names, strict=True)
    }
    return WRONG if WRONG in kinds else HUGE if HUGE in kinds else RIGHT


def content(table: dict[str, dict[str, Any]], name: str) -> Any:
    """What a name in a table stands for."""
    return next(its[name] for its in table.values() if name in its)


class Odd(gymnasium.Env):
    """Gives the answers one after the other, resets included, and then the usual one; ends with an error if told to."""

    observation_space = spaces.Box(-10, 10, (2,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, answers: tuple[Answer, ...] = (), closing: bool = True) -> None:
        self._answers = list(answers)
        self._closing, self._begun = closing, False

    def _next(self) -> Answer:
        return self._answers.pop(0) if self._answers else Answer()

    def _whole(self, answer: Answer, *parts: Any) -> Any:
        if answer.whole in ERRORS:
            raise ERRORS[answer.whole]
        return {"four": parts[:-1], "six": (*parts, 0), "none": None, "number": 3}.get(answer.whole, parts)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        if seed is not None:  # only seeds; an episode begins with the next one
            return np.zeros(2), {}
        answer = self._next()
        return self._whole(answer, content(OBSERVATIONS, answer.observation), {})

    def step(self, action: int) -> Any:
        assert self.action_space.contains(action)
        answer = self._next()
        observation, reward = content(OBSERVATIONS, answer.observation), content(REWARDS, answer.reward)
        return self._whole(answer, observation, reward, *content(ENDINGS, answer.ending), {})

    def close(self) -> None:
        if not self._closing:
            raise Broken("does not close")
