"""The Ray Tune adapter: runs trials of any kind in parallel, with optional early stopping."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from teamnet.errors import ActorLost, ResourceError
from teamnet.team.ray_session import acquire
from teamnet.team.working_folder import continue_in, working_folder

Report = dict[str, Any]
Steps = Callable[[Any], Iterator[Report]]
_REDUCTION = 3
_LEAST_SHARE = 5
_SETTINGS = (
    ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1"),  # no CSV, JSON and TensorBoard files for each trial
    ("RAY_AIR_NEW_OUTPUT", "0"),  # the newer reporter prints to the standard output even when it is to be silent
)


def run_trials(
    steps: Steps, trials: Sequence[Any], *, reports: int, asha: bool, folder: Path, address: str = "", at_once: int = 0,
    ended: Callable[[Report], None],
) -> None:
    """Run every trial in a Ray actor with one CPU.

    Args:
        steps: a function importable on every node; it trains the trial that it is given and yields reports, each with
            ``score`` (more is better) and ``done``.
        trials: plain data, one for each trial.
        reports: of a trial that runs to its end.
        asha: whether to stop trials early: at a fifth and three fifths of the reports, a trial continues only if its
            score is among the best third of those that got there before (asynchronous successive halving, Li et al.
            2018).
        folder: for Tune's own records; on several nodes, one that all of them share.
        address: of a Ray cluster; a private one on this machine if empty.
        at_once: the most trials that run at once; 0 for as many as there are CPUs.
        ended: called in this process with the last report of each trial that has ended; after Ctrl-C, which ends the
            sweep at once, not for all trials.

    Raises:
        ResourceError: Ray Tune is not installed, or there is no cluster at the address.
        ActorLost: trials raised errors, or their actors died.
    """
    tune = import_tune()
    lease = acquire(address)
    try:
        with lease.using(), _quiet_tune():
            results = tune.Tuner(
                tune.with_resources(_trainable(tune.Trainable, steps), {"cpu": 1}),
                param_space={"trial": tune.grid_search(list(trials))},
                tune_config=tune.TuneConfig(
                    metric="score", mode="max", scheduler=_scheduler(reports) if asha else None,
                    max_concurrent_trials=at_once or None, reuse_actors=True, trial_dirname_creator=_name_folder,
                ),
                run_config=tune.RunConfig(
                    name=folder.name, storage_path=str(folder.parent.resolve()), verbose=0,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    callbacks=[_listener(tune.Callback, ended)],
                ),
            ).fit()
        _refuse_lost_trials(results)
    finally:
        lease.release()


def import_tune() -> Any:
    """Ray Tune.

    Raises:
        ResourceError: it is not installed.
    """
    try:
        from ray import tune
    except ImportError as error:
        raise ResourceError(
            "sweep", expected="Ray Tune to be installed", found=str(error).splitlines()[0],
            remedy="Run: pip install 'teamnet[sweep]'",
        ) from None
    return tune


def _scheduler(reports: int) -> Any:
    from ray.tune.schedulers import ASHAScheduler

    # Tune itself stops a trial at max_t. The last report has ``done`` set, too: with max_t one higher, a finished trial
    # does not count as stopped early.
    return ASHAScheduler(max_t=reports + 1, grace_period=max(1, reports // _LEAST_SHARE), reduction_factor=_REDUCTION)


def _name_folder(trial: Any) -> str:
    return trial.trial_id


def _trainable(base: type, steps: Steps) -> type:
    """A Tune trainable that returns the reports of ``steps`` one by one; its actor is reused for further trials."""
    folder = working_folder()

    class Trial(base):
        def setup(self, config: dict[str, Any]) -> None:
            continue_in(folder)
            self._reports = steps(config["trial"])

        def step(self) -> Report:
            return next(self._reports)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.cleanup()
            self.setup(new_config)
            return True

        def cleanup(self) -> None:
            close = getattr(self._reports, "close", None)
            if close:
                close()

    return Trial


def _listener(base: type, ended: Callable[[Report], None]) -> Any:
    class Listener(base):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            ended(trial.last_result)

    return Listener()


@contextmanager
def _quiet_tune() -> Iterator[None]:
    """Set the options that Tune reads only from environment variables, and restore them."""
    before = {name: os.environ.get(name) for name, _ in _SETTINGS}
    os.environ.update(_SETTINGS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _refuse_lost_trials(results: Any) -> None:
    if results.errors:
        reason = str(results.errors[0]).strip().splitlines()[-1]
        raise ActorLost(
            "sweep", expected="every trial to report", found=f"{len(results.errors)} that failed: {reason}",
            remedy="Start the same sweep again: it continues with the trials that are missing.",
        )
