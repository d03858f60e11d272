"""``teamnet sweep``: values of a spec, tried on Ray Tune, and which of them matter."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated, Literal

import tyro

from teamnet.cli.terminal import INTERRUPTED, say
from teamnet.spec.run import USUAL_RULE


def sweep(arguments: list[str]) -> int:
    """``teamnet sweep TASK --vary FIELD=RANGE [options]``."""

    def options(
        task: Annotated[str, tyro.conf.Positional],
        vary: Annotated[tuple[tuple[str, ...], ...], tyro.conf.UseAppendAction] = (), runs: int = 20,
        scheduler: Literal["random", "asha"] = "random", seeds: int = 1, episodes: int | None = None,
        seed: int = 0, preset: str = USUAL_RULE, out: Path | None = None, overwrite: bool = False, address: str = "",
        cpus: int = 0, json: bool = False,
    ) -> int:
        """Try values of a task's spec, each trial a local run with a CPU of its own, and see which values matter.

        Started again with the same arguments, it does the trials that are missing. Exits with 1 if all failed.

        Args:
            task: a preset or a Gymnasium id.
            vary: FIELD=RANGE, or FIELD*=RANGE for a factor; FIELD is any value of the spec (step_size,
                actor.variances[0]), several joined by +; RANGE is a..b, log:a..b or a,b,c.
            runs: how many trials.
            scheduler: random runs every trial to its end, asha stops those that lag behind.
            seeds: runs in each trial, whose mean counts.
            episodes: of each run; the preset's end if left out.
            seed: of the values that are tried and of the first run.
            preset: whose values are varied, such as map, tuned, frugal, backprop or weight-max; or a rule of your own
                (FILE.py).
            out: gets trials.jsonl and sweep.png, on several nodes a folder that all of them share; runs/sweep-TASK if
                left out.
            overwrite: replace the sweep that OUT has, instead of doing the trials that it misses.
            address: of a Ray cluster; a private one on this machine if left out.
            cpus: the most trials at once; 0 for as many as there are CPUs.
            json: print the result as one JSON object on the last line of the standard output.
        """
        from teamnet.study.sweep.session import SweepSpec, check_sweep, run_sweep
        from teamnet.study.sweep.summary import result_lines, summarise
        from teamnet.training.run_files import folder_name

        fields = tuple(text for texts in vary for text in texts)
        asked = SweepSpec(task, fields, runs, scheduler, seeds, episodes, seed, preset)
        folder = out or Path("runs") / f"sweep-{folder_name(task)}"
        rows = run_sweep(asked, folder, overwrite=overwrite, address=address, cpus=cpus, say=say)
        variations = check_sweep(asked)
        if json:
            summary = summarise(rows, variations)
            print(json_format.dumps({"task": task, "scheduler": scheduler, "out": str(folder), **summary}))
        elif rows:
            print("\n".join(result_lines(rows, variations)))
            print(f"\nwritten to {folder}")
        if len(rows) < runs:
            say(f"interrupted after {len(rows)} of {runs} trials; the same command does the rest")
            return INTERRUPTED
        if failed := all(row["error"] for row in rows):
            say(f"every trial failed; trial {rows[0]['trial']}: {rows[0]['error']}")
        return int(failed)

    return tyro.cli(options, prog="teamnet sweep", args=arguments)
