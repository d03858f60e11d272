"""A sweep from its folder's point of view: ``sweep.json`` says what it is, ``trials.jsonl`` what came of it."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import teamnet
from teamnet.errors import CheckpointError, SpecError
from teamnet.spec.check import MOST_SEEDS, check_choice, check_count, check_folder
from teamnet.spec.files import to_plain
from teamnet.spec.presets import preset
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.study.interfaces import interface_of
from teamnet.study.sweep.figures import draw_sweep
from teamnet.study.sweep.trials import REPORTS, draw_trials, train_trial
from teamnet.study.sweep.vary import Variation, parse_variations
from teamnet.team.address import cluster_address
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run import Run
from teamnet.training.run_files import check_writable, make_folder

Row = dict[str, Any]
SETTINGS, TRIALS, PICTURE = "sweep.json", "trials.jsonl", "sweep.png"


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
    sweep: SweepSpec, folder: Path, *, overwrite: bool = False, address: str = "", cpus: int = 0,
    say: Callable[[str], None] = lambda message: None,
) -> list[Row]:
    """Do the trials that the folder does not have yet; returns all rows, in the order in which they ended.

    Args:
        sweep: what is tried.
        folder: gets ``sweep.json``, ``trials.jsonl``, ``sweep.png``, and while it lasts Ray Tune's own records.
        overwrite: whether to replace the trials that there are, of this sweep or of another one; they stay until the
            first new one has ended.
        address: of a Ray cluster; if empty that of ``$RAY_ADDRESS``, or a private one on this machine.
        cpus: the most trials at once; 0 for as many as there are CPUs.
        say: called with what has happened.

    Raises:
        TeamnetError: the sweep makes no sense, it cannot be done here, or the folder holds something else.
    """
    variations = check_sweep(sweep)
    if cpus < 0:
        raise SpecError("cpus", expected="0 or more", found=str(cpus), mend="Use 0 for all that there are.")
    base = sweep.base()
    Run(preset("multiplexer"), LaunchSpec(backend="local")).close()  # compiles what trials use, before they are timed
    trials = draw_trials(base, variations, interface_of(base), trials=sweep.runs, seeds=sweep.seeds, seed=sweep.seed)
    owned, settings = OwnedFiles(folder, "sweep"), _settings_of(sweep)
    rows = _check_out(owned, settings, overwrite=overwrite)
    done = {row["trial"] for row in rows}
    missing = [trial for trial in trials if trial["trial"] not in done]

    def keep(report: dict[str, Any]) -> None:
        if not rows:
            owned.remove_all()
            owned.write(SETTINGS, settings)
        rows.append(report["row"])
        owned.write(TRIALS, "".join(json.dumps(row) + "\n" for row in rows).encode())
        say(_described(report))

    if missing:
        from teamnet.team.ray_sweep import import_tune, run_trials  # Ray is imported only when it is asked for

        import_tune()
        make_folder(folder)
        say(f"{len(missing)} of {len(trials)} trials to do")
        records = Path(tempfile.mkdtemp(prefix="tune-", dir=folder))  # a new one, so that all in it is Tune's
        try:
            run_trials(
                train_trial, missing, reports=REPORTS, asha=sweep.scheduler == "asha", folder=records,
                address=cluster_address(address), at_once=cpus, ended=keep,
            )
        finally:
            shutil.rmtree(records, ignore_errors=True)  # it holds nothing that trials.jsonl has not
    kept = read_rows(folder)
    if kept:
        owned.write(PICTURE, draw_sweep(kept, variations, f"{sweep.task}, {len(kept)} trials"))
    return kept


def _settings_of(sweep: SweepSpec) -> bytes:
    """The content of ``sweep.json``."""
    settings = {"version": teamnet.__version__, "sweep": to_plain(sweep), "spec": to_plain(sweep.base())}
    return json.dumps(settings, indent=2).encode()


def _check_out(owned: OwnedFiles, settings: bytes, *, overwrite: bool) -> list[Row]:
    """The rows of the trials that are done, in a folder of the very same sweep; none in a new one.

    Raises:
        SpecError: there is another sweep, or a file that no sweep wrote.
    """
    folder = owned.folder
    check_folder("out", folder)
    check_writable(folder)
    names = (SETTINGS, TRIALS, PICTURE)
    if overwrite:
        owned.check_new(names, overwrite=True)
        return []
    owned.check(names)
    if not (folder / SETTINGS).exists():
        owned.check_new(names, overwrite=False)
        return []
    if (folder / SETTINGS).read_bytes() != settings:
        raise SpecError(
            "out", expected="a new folder, or the one of the same sweep", found=f"another sweep in {folder}",
            mend="Give another --out, or --overwrite to replace it.",
        )
    return read_rows(folder)


def read_rows(folder: Path) -> list[Row]:
    """The lines of ``trials.jsonl``; none before the first trial has ended.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / TRIALS
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            str(path), expected="a JSON object a line", found=str(error), mend="Restore the file, or sweep anew."
        ) from None


def _described(report: dict[str, Any]) -> str:
    """How a trial ended, in a line."""
    row, score = report["row"], report["score"]
    how = "failed" if row["error"] else "stopped early" if row["stopped_early"] else "finished"
    result = "no episode" if math.isnan(score) else f"{score:.2f}"
    return f"trial {row['trial']}: {result} in {row['episodes']:,} episodes, {row['seconds']:.1f} s, {how}"
