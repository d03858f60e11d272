"""A sweep from its folder's point of view: ``sweep.json`` says what it is, ``trials.jsonl`` what came of it."""

from __future__ import annotations

import functools
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import teamnet
from teamnet.errors import ResourceError, SpecError
from teamnet.spec.check import MOST_SEEDS, check_choice, check_count
from teamnet.spec.files import to_plain
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.sweep.trials import REPORTS, draw_trials, train_trial
from teamnet.study.sweep.vary import Variation, parse_variations
from teamnet.team.address import cluster_address
from teamnet.training.checkpoint import write_atomically
from teamnet.training.run import Run

Row = dict[str, Any]


@dataclass(frozen=True)
class SweepSpec:
    """Everything that determines which runs a sweep does.

    Args:
        task: a preset's name or a Gymnasium id.
        vary: ``FIELD=RANGE``, ``FIELD*=RANGE`` or ``FIELD+FIELD*=RANGE``.
        runs: trials.
        scheduler: ``random`` (every trial runs to its end) or ``asha`` (those that lag behind are stopped).
        seeds: runs in each trial, with a seed each.
        episodes: of each run; ``None`` for the preset's end.
        seed: of the values that are tried, and of the first run.
        preset: whose values are varied.
    """

    task: str
    vary: tuple[str, ...]
    runs: int = 20
    scheduler: str = "random"
    seeds: int = 1
    episodes: int | None = None
    seed: int = 0
    preset: str = "map"

    def base(self) -> RunSpec:
        """The spec that is varied."""
        usual = preset(self.task, self.preset)
        return usual if self.episodes is None else replace(usual, episodes=self.episodes, env_steps=None)


def check_sweep(sweep: SweepSpec) -> tuple[Variation, ...]:
    """What a sweep varies.

    Raises:
        SpecError: its numbers, its scheduler, a field or a range makes no sense.
    """
    check_count("runs", sweep.runs, 1, MOST_SEEDS)
    check_count("seeds", sweep.seeds, 1, MOST_SEEDS)
    check_count("seed", sweep.seed, 0)
    check_choice("scheduler", sweep.scheduler, ("random", "asha"))
    return parse_variations(sweep.vary)


def run_sweep(
    sweep: SweepSpec, folder: Path, *, address: str = "", cpus: int = 0,
    say: Callable[[str], None] = lambda message: None,
) -> list[Row]:
    """Do the trials that the folder does not have yet; returns all rows, in the order in which they ended.

    Args:
        sweep: what is tried.
        folder: gets ``sweep.json``, ``trials.jsonl``, and while it lasts Ray Tune's own records in ``tune/``.
        address: of a Ray cluster; if empty that of ``$RAY_ADDRESS``, or a private one on this machine.
        cpus: the most trials at once; 0 for as many as there are CPUs.
        say: called with what has happened.

    Raises:
        TeamnetError: the sweep makes no sense, or it cannot be done here.
    """
    variations = check_sweep(sweep)
    if cpus < 0:
        raise SpecError("cpus", expected="0 or more", found=str(cpus), mend="0 is as many as there are.")
    base = sweep.base()
    run = Run(base, LaunchSpec(backend="local"))  # compiles what all trials use, before they run and are timed
    interface = run.task.interface
    run.close()
    trials = draw_trials(base, variations, interface, trials=sweep.runs, seeds=sweep.seeds, seed=sweep.seed)
    _take_folder(folder, sweep)
    done = {row["trial"] for row in read_rows(folder)}
    missing = [trial for trial in trials if trial["trial"] not in done]
    if missing:
        from teamnet.team.ray_sweep import run_trials  # Ray is imported only when it is asked for

        say(f"{len(missing)} of {len(trials)} trials to do")
        records = folder / "tune"
        try:
            run_trials(
                train_trial, missing, reports=REPORTS, asha=sweep.scheduler == "asha", folder=records,
                address=cluster_address(address), at_once=cpus,
                ended=functools.partial(_keep_row, folder, say),
            )
        finally:
            shutil.rmtree(records, ignore_errors=True)  # it holds nothing that trials.jsonl has not
    return read_rows(folder)


def _take_folder(folder: Path, sweep: SweepSpec) -> None:
    """Make the folder, or take up the one of the very same sweep."""
    settings = {"version": teamnet.__version__, "sweep": to_plain(sweep), "spec": to_plain(sweep.base())}
    path = folder / "sweep.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if json.loads(path.read_text()) != settings:
                raise SpecError(
                    "out", expected="a new folder, or the one of the same sweep", found=f"another sweep in {folder}",
                    mend="Give another --out.",
                )
        else:
            write_atomically(path, json.dumps(settings, indent=2).encode())
        (folder / "trials.jsonl").touch()
    except (OSError, ValueError, ResourceError) as error:
        raise SpecError(
            "out", expected="a folder that can be written to", found=str(error.__cause__ or error),
            mend="Give another --out.",
        ) from None


def read_rows(folder: Path) -> list[Row]:
    """The lines of ``trials.jsonl``."""
    return [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]


def _keep_row(folder: Path, say: Callable[[str], None], report: dict[str, Any]) -> None:
    row = report["row"]
    with (folder / "trials.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    score = report["score"]
    how = "failed" if row["error"] else "stopped early" if row["stopped_early"] else "finished"
    result = "no episode" if math.isnan(score) else f"{score:.2f}"
    say(f"trial {row['trial']}: {result} in {row['episodes']:,} episodes, {row['seconds']:.1f} s, {how}")
