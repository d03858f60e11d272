"""``teamnet sweep``: ``sweep.json`` holds the settings, ``trials.jsonl`` the record of each trial."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from teamnet.spec.check import MOST_SEEDS
from teamnet.spec.files import to_plain
from teamnet.spec.presets import preset
from teamnet.spec.run import USUAL_RULE, LaunchSpec, RunSpec
from teamnet.study.experiment.records import Record, Records, Settings
from teamnet.study.experiment.table import shown
from teamnet.study.interfaces import interface_of
from teamnet.study.sweep.figures import draw_sweep
from teamnet.study.sweep.sensitivity import find_sensitivity
from teamnet.study.sweep.summary import outcome
from teamnet.study.sweep.trials import REPORTS, draw_trials, train_trial
from teamnet.study.sweep.variation import Variation, parse_variations
from teamnet.team.address import cluster_address
from teamnet.training.run import Run
from teamnet.values import check_choice, check_count

SETTINGS, TRIALS, FIGURE = "sweep.json", "trials.jsonl", "sweep.png"


@dataclass(frozen=True)
class SweepSpec:
    """The settings that determine the runs of a sweep.

    Args:
        task: a preset's name or a Gymnasium id.
        vary: ``FIELD=RANGE``, ``FIELD*=RANGE`` or ``FIELD+FIELD*=RANGE``.
        runs: the number of trials.
        scheduler: ``random`` (every trial runs to its end) or ``asha`` (trials with low scores are stopped early).
        seeds: runs in each trial, with a seed each.
        episodes: of each run; ``None`` for the preset's end.
        seed: of the drawn values, and of the first run.
        preset: the preset whose values are varied.
    """

    task: str
    vary: tuple[str, ...]
    runs: int = 20
    scheduler: str = "random"
    seeds: int = 1
    episodes: int | None = None
    seed: int = 0
    preset: str = USUAL_RULE

    def base(self) -> RunSpec:
        """The spec that is varied."""
        usual = preset(self.task, self.preset)
        return usual if self.episodes is None else replace(usual, episodes=self.episodes, env_steps=None)

    def settings(self) -> Settings:
        """``sweep.json``."""
        return Settings.of(SETTINGS, sweep=to_plain(self), spec=to_plain(self.base()))


def check_sweep(sweep: SweepSpec) -> tuple[Variation, ...]:
    """Check a sweep; returns its variations.

    Raises:
        SpecError: its numbers, its scheduler, a field or a range is invalid.
    """
    check_count("runs", sweep.runs, 1, MOST_SEEDS)
    check_count("seeds", sweep.seeds, 1, MOST_SEEDS)
    check_count("seed", sweep.seed, 0)
    check_choice("scheduler", sweep.scheduler, ("random", "asha"))
    return parse_variations(sweep.vary, type(sweep.base().rule))


def run_sweep(
    sweep: SweepSpec, folder: Path, *, overwrite: bool = False, address: str = "", cpus: int = 0,
    say: Callable[[str], None] = lambda message: None,
) -> list[Record]:
    """Run the trials that the folder does not have yet; returns all records, in the order in which they ended.

    Args:
        sweep: the settings.
        folder: gets ``sweep.json``, ``trials.jsonl``, ``sweep.png``, and during the sweep Ray Tune's own records.
        overwrite: whether to replace existing trials, of this sweep or of another one; they stay until the first new
            one has ended.
        address: of a Ray cluster; if empty that of ``$RAY_ADDRESS``, or a private one on this machine.
        cpus: the most trials at once; 0 for as many as there are CPUs.
        say: called with progress messages.

    Raises:
        TeamnetError: the sweep is invalid, it cannot run on this machine, or the folder holds something else.
    """
    variations, base = check_sweep(sweep), sweep.base()
    check_count("cpus", cpus, 0)
    Run(preset("multiplexer"), LaunchSpec(backend="local")).close()  # compiles the kernels before trials are timed
    trials = draw_trials(base, variations, interface_of(base), trials=sweep.runs, seeds=sweep.seeds, seed=sweep.seed)
    with Records(folder, "sweep", [TRIALS, FIGURE], overwrite=overwrite, settings=sweep.settings()) as records:
        missing = [trial for trial in trials if not records.has({"trial": trial["trial"]})]

        def keep(report: dict[str, Any]) -> None:
            row = report["row"]
            records.add(row)
            score, episodes = shown(row["mean_return"], "{:.2f}"), row["episodes"]
            say(f"trial {row['trial']}: {score} in {episodes:,} episodes, {row['seconds']:.1f} s, {outcome(row)}")

        if missing:
            from teamnet.team.ray_sweep import import_tune, run_trials  # Ray is imported only when it is needed

            import_tune()
            records.begin()
            say(f"{len(missing)} of {len(trials)} trials to do")
            tune = Path(tempfile.mkdtemp(prefix="tune-", dir=folder))  # a new folder that only Tune writes to
            try:
                run_trials(
                    train_trial, missing, reports=REPORTS, asha=sweep.scheduler == "asha", folder=tune,
                    address=cluster_address(address), at_once=cpus, ended=keep,
                )
            finally:
                shutil.rmtree(tune, ignore_errors=True)  # trials.jsonl holds all its results
        if find_sensitivity(records.rows, variations):
            picture = draw_sweep(records.rows, variations, f"{sweep.task}, {len(records.rows)} trials")
            records.files.write(FIGURE, picture)
    return records.rows
