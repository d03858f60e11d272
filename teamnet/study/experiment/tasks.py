"""The tasks that methods are compared on, and the measures of their results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from teamnet.spec.run import SINGLE_STEP_TASKS

QUICK_EPISODES = 100
"""Of a quick run in an environment of a user's own."""


@dataclass(frozen=True)
class StudyTask:
    """One task.

    Args:
        name: of the preset, or of an environment of a user's own.
        title: in reports.
        solved: the mean return over 100 episodes from which it counts as solved; ``None`` for a single-step task, and
            where no such return is known.
        quick: episodes, or samples of a single-step task, of a quick run.
        negative_error: whether the reward is a negative error, which figures show on a logarithmic axis.
    """

    name: str
    title: str
    solved: float | None
    quick: int
    negative_error: bool = False

    @property
    def single_step(self) -> bool:
        """Whether every sample is an episode, so that curves are over samples and hold means of many of them."""
        return self.name in SINGLE_STEP_TASKS

    @property
    def file_name(self) -> str:
        """Its name as that of a file or folder, in which ``=3A`` stands for a colon."""
        return quote(self.name, safe="").replace("%", "=")

    @property
    def unit(self) -> str:
        """The unit of a run's length."""
        return "samples" if self.single_step else "episodes"


TASKS = {
    task.name: task
    for task in (
        StudyTask("cartpole", "CartPole-v1", 500.0, 250),
        StudyTask("acrobot", "Acrobot-v1", -120.0, 200),
        StudyTask("lunarlander", "LunarLander-v3", 200.0, 300),
        StudyTask("mountaincar", "MountainCarContinuous-v0", 90.0, 80),
        StudyTask("multiplexer", "Multiplexer", None, 768_000),
        StudyTask("regression", "Regression", None, 512_000, negative_error=True),
    )
}
"""The tasks of the paper in the order in which they are reported."""


def task_of(name: str) -> StudyTask:
    """A task of the paper, or an environment of a user's own."""
    return TASKS.get(name) or StudyTask(name, name, None, QUICK_EPISODES)


def task_of_file(file_name: str) -> StudyTask:
    """The task with a :attr:`StudyTask.file_name`."""
    return task_of(unquote(file_name.replace("=", "%")))


def in_order(names: Iterable[str]) -> list[StudyTask]:
    """Tasks in the order in which they are reported: those of the paper, then the others by name."""
    found = {task_of(name) for name in names}
    own = sorted((task for task in found if task.name not in TASKS), key=lambda task: task.name)
    return [*(task for task in TASKS.values() if task in found), *own]
