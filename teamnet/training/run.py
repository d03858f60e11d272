"""One run: spec, task, teams and exchange put together; it advances, saves itself and takes itself up again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from teamnet.errors import CheckpointError, SpecError, TeamnetError
from teamnet.spec.files import from_plain, to_plain
from teamnet.spec.layers import UnitSpec
from teamnet.spec.presets import SINGLE_STEP_TASKS
from teamnet.spec.resolve import build_teams, fit_depth
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.team.ledger import Ledger
from teamnet.team.partition import divide_all
from teamnet.team.state import State, digest, merge, split
from teamnet.training.checkpoint import (
    KEPT,
    arrays_of,
    check_same_spec,
    checkpoint_path,
    load_checkpoint,
    save_checkpoint,
)
from teamnet.training.coordinator import Coordinator
from teamnet.training.launch import Progress, check_specs, start_exchange
from teamnet.training.task import Episode, Task, comes_back
from teamnet.training.writer import Writer


def make_task(spec: RunSpec, patience: float = LaunchSpec.env_patience) -> Task:
    """The task of a run; its environments have ``patience`` seconds for every answer, 0 for as long as it takes.

    Raises:
        EnvironmentRefused: the environment cannot be used.
    """
    if spec.task in SINGLE_STEP_TASKS:
        from teamnet.training.single_step import make_single_step_task

        return make_single_step_task(spec)
    for name, team in (("actor", spec.actor), ("critic", spec.critic)):
        if team is None:
            raise SpecError(name, expected="an actor and a critic", found="none", mend="Use the preset's.")
    from teamnet.training.environments import Environments

    return Environments(spec, patience)


class Run:
    """A run that has been started and stands before its first step.

    Args:
        spec: what it computes.
        launch: where its units are.
        say: called with what is being done while it starts.

    Raises:
        TeamnetError: the spec, the environment or the machine does not allow it; nothing has been started then.
    """

    def __init__(
        self, spec: RunSpec, launch: LaunchSpec | None = None, say: Progress = lambda message: None
    ) -> None:
        begun = time.perf_counter()
        self.launch = launch or LaunchSpec()
        check_specs(spec, self.launch)
        self.task = make_task(spec, self.launch.env_patience)
        with ExitStack() as unless_started:
            unless_started.callback(self.task.close)
            self.spec = fit_depth(spec, self.task.interface)
            self.teams = build_teams(self.spec, self.task.interface)
            self._units = divide_all(self.teams, self.launch.grain, spec.seed)
            self._exchange = start_exchange(
                self.launch, self.teams, self._units, free_running=spec.free_running, say=say
            )
            unless_started.callback(self._exchange.close)
            self._coordinator = Coordinator(self.spec, self.teams, self.task, self._exchange)
            self.task.begin()
            unless_started.pop_all()
        self.stop_asked = False
        self.seconds = 0.0
        self.startup_seconds = time.perf_counter() - begun

    @property
    def step(self) -> int:
        """Steps of the whole batch so far, resets included."""
        return self._coordinator.step

    @property
    def done(self) -> bool:
        """Whether the spec's end is reached."""
        steps, episodes = self.spec.env_steps, self.spec.episodes
        return (steps is not None and self.task.env_steps >= steps) or (
            episodes is not None and self.task.episodes >= episodes
        )

    def advance(self, until: Callable[[], bool] = lambda: False) -> list[Episode]:
        """Train until an episode ends, the run is done, stopping is asked for, or ``until()`` is true."""
        begun = time.perf_counter()
        try:
            return self._coordinator.advance(lambda: self.stop_asked or self.done or until())
        finally:
            self.seconds += time.perf_counter() - begun

    def pause(self) -> None:
        """Let every unit finish the step."""
        begun = time.perf_counter()
        self._exchange.pause()
        self.seconds += time.perf_counter() - begun

    def ledger(self) -> Ledger:
        """What the units have said to each other since the run began or was taken up; the run is paused for it."""
        return self._exchange.ledger()

    def laps(self) -> list[np.ndarray]:
        """When each unit did what in the newest timed step; see :meth:`teamnet.units.unit.Unit.laps`."""
        return self._exchange.laps()

    @property
    def units(self) -> Sequence[UnitSpec]:
        """All units in canonical order."""
        return self._units

    def state(self) -> State:
        """Every layer's state; the run is paused for it."""
        return merge(self._units, self._exchange.snapshot())

    def save(
        self, folder: Path, about: dict[str, Any] | None = None, keep: int = KEPT, writer: Writer | None = None
    ) -> Path:
        """Write a checkpoint, beside the run if there is a ``writer``; returns the path of its JSON file.

        Args:
            folder: where.
            about: goes into the JSON file.
            keep: so many of the newest are kept.
            writer: has written it once it has waited.

        Raises:
            ResourceError: it, or with a writer the one before, cannot be written.
        """
        outcome = self.task.outcome
        arrays = arrays_of(
            observation=outcome.observation, reward=outcome.reward, terminated=outcome.terminated,
            masked=outcome.masked, keep=outcome.keep, previous_value=self._coordinator.previous_value,
        )
        plain = {
            "spec": to_plain(self.spec), "launch": to_plain(self.launch), "task": self.task.state(),
            "seconds": self.seconds,
        }
        content = folder, self.step, self.state() | arrays, {**plain, **(about or {})}, keep
        if writer is None:
            return save_checkpoint(*content)
        writer.begin(save_checkpoint, *content)
        return checkpoint_path(folder, self.step)

    def comes_back(self) -> bool:
        """Whether a second task, with its own environments, is brought to where this one stands; failing it is not."""
        try:
            second = make_task(self.spec, self.launch.env_patience)
            try:
                return comes_back(second, self.task.state(), self.task.outcome.observation)
            finally:
                second.close()
        except TeamnetError:
            return False

    def load(self, path: Path, former: RunSpec | None = None) -> dict[str, Any]:
        """Take up a checkpoint; returns its JSON.

        Args:
            path: of its JSON file.
            former: the spec that it was written with, if that is another one, on purpose.

        Raises:
            CheckpointError: it is damaged, or of another spec.
        """
        arrays, about = load_checkpoint(path)
        written = to_plain(from_plain(RunSpec, about["spec"], str(path)))  # later fields have their usual values
        check_same_spec(path, to_plain(former or self.spec), written)
        shape, own = arrays["coordinator.observation"].shape, self.task.outcome.observation.shape
        if shape != own:
            raise CheckpointError(
                str(path), expected=f"observations {own} of this task", found=str(shape), mend="Use its own task.",
            )
        back = comes_back(self.task, about["task"], arrays.pop("coordinator.observation"))
        for name in ("reward", "terminated", "masked", "keep"):
            getattr(self.task.outcome, name)[:] = arrays.pop(f"coordinator.{name}")
        self._coordinator.previous_value[:] = arrays.pop("coordinator.previous_value")
        if not back:
            raise CheckpointError(
                str(path), expected="an environment that its generator and actions bring back to the same observation",
                found="another observation", mend="Such an environment cannot be resumed; start the run anew.",
            )
        self.seconds = about["seconds"]
        self._exchange.restore(split(self._units, arrays), about["step"])
        self._coordinator.step = about["step"]
        return about

    def mend(self, path: Path) -> tuple[dict[str, Any], str]:
        """After an error: replace the units that are lost, and take up a checkpoint; returns its JSON and what is new.

        Raises:
            ActorLost: the team must be started anew.
            CheckpointError: see :meth:`load`.
        """
        lost = self._exchange.revive()
        return self.load(path), f"{lost} new units" if lost else "the same units"

    def summary(self) -> dict[str, Any]:
        """What a run comes to, as JSON types; times in seconds."""
        task, spec, launch = self.task, self.spec, self.launch
        parameters = digest(self.teams, self.state())
        return {
            "task": spec.task, "rule": spec.rule, "backend": launch.backend,
            "transport": launch.transport if launch.backend == "ray" else "none", "grain": launch.grain,
            "seed": spec.seed, "actors": self._exchange.actors, "env_steps": task.env_steps,
            "episodes": task.episodes, "mean_return": task.return_sum / task.episodes if task.episodes else None,
            "seconds": round(self.seconds, 3), "startup_seconds": round(self.startup_seconds, 3),
            "env_steps_per_second": round(task.env_steps / self.seconds, 1) if self.seconds else None,
            "digest": parameters, "communication": self.ledger().as_plain(),
        }

    def close(self) -> None:
        """End the units and the environments."""
        try:
            self._exchange.close()
        finally:
            self.task.close()


def spec_of_checkpoint(path: Path) -> tuple[RunSpec, LaunchSpec]:
    """The specs that a checkpoint was written with."""
    _, about = load_checkpoint(path)
    return from_plain(RunSpec, about["spec"]), from_plain(LaunchSpec, about["launch"])


