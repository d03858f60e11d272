"""One run: spec, task, teams and executor put together; it advances, saves itself and continues from a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.layers import UnitSpec
from teamnet.errors import CheckpointError, SpecError, TeamnetError
from teamnet.spec.files import from_plain, to_plain
from teamnet.spec.functions import with_function_files
from teamnet.spec.resolve import build_teams, fit_depth
from teamnet.spec.run import SINGLE_STEP_TASKS, LaunchSpec, RunSpec
from teamnet.team.held_signals import HeldSignals
from teamnet.team.ledger import Ledger
from teamnet.team.partition import divide_all
from teamnet.team.state import State, merge, split
from teamnet.training.checkpoint import KEPT, Saved, arrays_of, check_same_spec, load_checkpoint, save_checkpoint
from teamnet.training.coordinator import Coordinator
from teamnet.training.environment_maker import Maker
from teamnet.training.exclusive_use import ExclusiveUse
from teamnet.training.launch import Progress, check_specs, start_exchange
from teamnet.training.make_task import make_task
from teamnet.training.replay_check import ReplayCheck
from teamnet.training.run_content import content_of, place_of, policy_of, summary_of
from teamnet.training.run_files import existing_folder, new_run
from teamnet.training.step_trace import StepTrace, trace_steps
from teamnet.training.task import OF_ROWS, Episode, cannot_be_replayed, comes_back
from teamnet.training.trained_policy import TrainedPolicy, trained_environment
from teamnet.training.writer import Writer

if TYPE_CHECKING:
    import gymnasium


class Run:
    """A run that has been started and is at its first step.

    Args:
        spec: what it computes.
        launch: where its units are.
        say: called with progress messages while it starts.
        make: makes an environment; ``None`` for what the spec names.

    Attributes:
        identity: of the run, in all its files.
        ends: environment steps and episodes at which it is done; ``None`` for none. They are those of the spec, but
            while an agent learns for less.
        owns_folder: whether no other object saves this run: then all its old checkpoints are removed, else those that
            this object wrote, and those up to the one that it was loaded from.
        folder: where the run keeps its files; ``None`` for none.
        describe: what a checkpoint in that folder has beside the run's own content, as JSON types.
        stopped: why the run ended before its end, if :meth:`stop` was called.
        exclusive: refuses other threads and forks, and defers signals until the run is between two steps; every method
            enters it by itself.

    Raises:
        TeamnetError: the spec, the environment or the machine does not allow it; nothing has been started then.
    """

    def __init__(
        self, spec: RunSpec, launch: LaunchSpec | None = None, say: Progress = lambda text: None,
        make: Maker | None = None,
    ) -> None:
        begun = time.perf_counter()
        self.launch = launch or LaunchSpec()
        check_specs(spec, self.launch)
        spec = with_function_files(spec)
        self.task = make_task(spec, self.launch.env_patience, make, self.launch.env_workers)
        with ExitStack() as unless_started:
            unless_started.callback(self.task.close)
            self.spec = fit_depth(spec, self.task.interface)
            self.ends = spec.env_steps, spec.episodes
            self.teams = build_teams(self.spec, self.task.interface)
            self.flow = Dataflow(self.teams)
            self._units = divide_all(self.teams, self.launch.grain, spec.seed)
            units, free = self._units, spec.rule.runs_free
            self._executor = start_exchange(self.launch, self.teams, units, free_running=free, say=say)
            unless_started.callback(self._executor.close)
            self._coordinator = Coordinator(self.spec, self.teams, self.task, self._executor)
            self.task.begin()
            unless_started.pop_all()
        self.identity = new_run()
        self._written: set[Path] = set()
        self._loaded: Saved | None = None
        self.owns_folder = self.stop_asked = False
        self.folder, self.stopped, self._make = cast(Path | None, None), "", make
        self.describe: Callable[[], dict[str, Any]] = dict
        self.exclusive = ExclusiveUse()
        self.seconds = 0.0
        self.startup_seconds = time.perf_counter() - begun

    @property
    def step(self) -> int:
        """Steps of the whole batch so far, resets included."""
        return self._coordinator.step

    @property
    def done(self) -> bool:
        """Whether one of ``ends`` is reached."""
        steps, episodes = self.ends
        return (steps is not None and self.task.env_steps >= steps) or (
            episodes is not None and self.task.episodes >= episodes
        )

    def advance(self, until: Callable[[], bool] = lambda: False) -> list[Episode]:
        """Train until an episode ends, the run is done, stopping is asked for, or ``until()`` is true.

        An exception, also of a signal handler, leaves the run between two steps, or before the environment's answer,
        with which the next call begins.

        Raises:
            Closed: the run is closed.
            StepInterrupted: the run was ended by force inside a step.
            TeamnetError: the environment misbehaves, the learning diverges, or an actor is lost.
        """
        begun, ended = time.perf_counter(), []
        try:
            with self.exclusive:
                ended = self._coordinator.advance(
                    lambda: self.stop_asked or self.done or until(), self.exclusive.handle
                )
        except BaseException:
            self._coordinator.keep_episodes(ended)
            raise
        finally:
            self.seconds += time.perf_counter() - begun
        return ended

    def stop(self, reason: str) -> None:
        """End the training after this step; the summary has the reason as ``stopped``."""
        self.stop_asked, self.stopped = True, reason

    def pause(self) -> None:
        """Let every unit finish the step."""
        begun = time.perf_counter()
        with self.exclusive:
            self._executor.pause()
        self.seconds += time.perf_counter() - begun

    def ledger(self) -> Ledger:
        """The traffic between the units since the run began or was resumed; the run is paused for it."""
        with self.exclusive:
            return replace(self._executor.ledger(), step_times=self._coordinator.times.as_plain())

    def trace(self, steps: int) -> tuple[StepTrace, list[Episode]]:
        """Do some steps, every one of which is timed; see :func:`teamnet.training.step_trace.trace_steps`."""
        return trace_steps(self, self._executor, self._coordinator, steps)

    @property
    def units(self) -> Sequence[UnitSpec]:
        """All units in canonical order."""
        return self._units

    def state(self) -> State:
        """Every layer's state; the run is paused for it."""
        with self.exclusive:
            self._coordinator.check_whole()
            return merge(self._units, self._executor.snapshot())

    def save(
        self, folder: str | Path, about: dict[str, Any] | None = None, keep: int = KEPT, writer: Writer | None = None
    ) -> Path:
        """Write a checkpoint, in the background if there is a ``writer``; returns the path of its JSON file.

        Args:
            folder: to write to; it is made if it does not exist.
            about: goes into the JSON file; what ``describe`` returns if it is left out and the folder is the run's own.
            keep: number of the run's newest checkpoints that are kept.
            writer: has written it when ``writer.wait()`` returns.

        Raises:
            ResourceError: it, or with a writer the previous one, cannot be written.
            TeamnetError: the environment's answer is still pending, and fails.
        """
        with self.exclusive:
            folder = Path(folder) if writer else existing_folder(folder)
            self._coordinator.finish_step(only_begun=True)
            arrays = arrays_of(**self.task.outcome.kept(), previous_value=self._coordinator.previous_value)
            own = self.folder is not None and folder.resolve() == self.folder.resolve()
            content = {**content_of(self), **(about or (self.describe() if own else {}))}
            path = place_of(self, folder)
            arguments = path, self.identity, self.step, self.state() | arrays, content, keep, self._may_remove
            self._written.add(path)
            if writer is None:
                return save_checkpoint(*arguments)
            writer.begin(save_checkpoint, *arguments)
            return path

    def _may_remove(self, saved: Saved) -> bool:
        """Whether a checkpoint of this identity is not another object's, which was loaded from the same one."""
        before = self._loaded is not None and self._loaded.is_after(saved)
        return self.owns_folder or saved.path in self._written or before

    def check_replay(self) -> ReplayCheck | None:
        """Begin a check whether a checkpoint written now could be resumed; ``None`` for a task where every one can."""
        if self.spec.task in SINGLE_STEP_TASKS:
            return None
        with self.exclusive:
            return ReplayCheck(self.task, self.task.state(), self.task.outcome.observation)

    def load(self, path: Path, former: RunSpec | None = None) -> dict[str, Any]:
        """Continue from a checkpoint; returns its JSON.

        Args:
            path: of its JSON file.
            former: the spec that it was written with, if it differs on purpose.

        Raises:
            CheckpointError: it is damaged, of another spec, or the environment cannot be replayed.
        """
        about = self.continue_from(path, former)
        if self.refusal:
            raise self.refusal
        return about

    def continue_from(self, path: Path, former: RunSpec | None = None) -> dict[str, Any]:
        """As :meth:`load`, but if the environment cannot be replayed, only advancing is refused, with ``refusal``."""
        with self.exclusive:
            return self._load(path, former)

    @property
    def refusal(self) -> TeamnetError | None:
        """Why the run does not advance; ``None`` if it does."""
        return self._coordinator.failure

    def _load(self, path: Path, former: RunSpec | None) -> dict[str, Any]:
        arrays, about = load_checkpoint(path)
        written = to_plain(from_plain(RunSpec, about["spec"], str(path)))  # later fields have their default values
        check_same_spec(path, to_plain(former or self.spec), written)
        shape, own = arrays["coordinator.observation"].shape, self.task.outcome.observation.shape
        if shape != own:
            raise CheckpointError(
                str(path), expected=f"observations {own} of this task", found=str(shape), remedy="Use its own task.",
            )
        observation = arrays.pop("coordinator.observation")
        failure = None if comes_back(self.task, about["task"], observation) else cannot_be_replayed(path)
        for name in OF_ROWS:
            getattr(self.task.outcome, name)[:] = arrays.pop(f"coordinator.{name}")
        self._coordinator.previous_value[:] = arrays.pop("coordinator.previous_value")
        self.seconds = about["seconds"]
        self._executor.restore(split(self._units, arrays), about["step"])
        self._coordinator.continue_at(about["step"], failure)
        self.identity, self._loaded = about["run"], Saved(path, about["run"], about["number"])
        return about

    def repair(self, path: Path) -> tuple[dict[str, Any], str]:
        """After an error: replace lost units, and load a checkpoint; returns its JSON and a description of the units.

        Raises:
            ActorLost: a new team must be started.
            CheckpointError: see :meth:`load`.
        """
        with self.exclusive:
            lost = self._executor.replace_failed()
        return self.load(path), f"{lost} new units" if lost else "the same units"

    def summary(self) -> dict[str, Any]:
        """The results of a run, as JSON types; times in seconds."""
        with self.exclusive:
            return summary_of(self, self._executor)

    def policy(self, seed: int = 0) -> TrainedPolicy:
        """The policy with the present parameters, and with ``seed`` for its samples; the run is paused for it."""
        with self.exclusive:
            return policy_of(self, seed)

    def make_environment(self, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
        """See :func:`teamnet.training.trained_policy.trained_environment`."""
        with self.exclusive:
            return trained_environment(self.spec, self.task.statistics(), render_mode, self._make)

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied: a run has actors, processes and files."""
        raise SpecError(
            "run", expected="something that can be pickled", found="a run, with actors, processes and files",
            remedy="Use TeamAgent.save and TeamAgent.load, or send a TrainedPolicy.",
        )

    def close(self) -> None:
        """End the units and the environments; a second call, or one in a forked process, does nothing."""
        with HeldSignals():
            if self.exclusive.close():
                try:
                    self._executor.close()
                finally:
                    self.task.close()
