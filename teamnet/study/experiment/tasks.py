"""The tasks that methods are compared on, and the measures of their results."""

from __future__ import annotations

from dataclasses import dataclass

from teamnet.spec.run import SINGLE_STEP_TASKS


@dataclass(frozen=True)
class StudyTask:
    """One task.

    Args:
        name: of the preset.
        title: in reports.
        solved: the mean return over 100 episodes from which it counts as solved; ``None`` for a single-step task.
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
"""All tasks in the order in which they are reported."""
