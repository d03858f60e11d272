"""``teamnet train TASK --seeds 0..9``: a run for each seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from teamnet.cli.options import Keeping
from teamnet.cli.terminal import INTERRUPTED, say
from teamnet.errors import SpecError
from teamnet.spec.functions import with_function_files
from teamnet.spec.run import LaunchSpec, RunSpec
from teamnet.values import check_count

_OWN = {"--seeds": 1, "--jobs": 1, "--seed": 1, "--out": 1, "--json": 0, "--overwrite": 0, "--resume-if-present": 0}
"""Options that the runs get from this command, and how many values follow each."""


def train_seeds(arguments: Sequence[str], spec: RunSpec, launch: LaunchSpec, keeping: Keeping) -> int:
    """Train all seeds; returns the exit code.

    Args:
        arguments: of ``teamnet train``.
        spec, launch, keeping: as they were parsed.

    Raises:
        SpecError: there is no folder, a seed is none, or a folder has the run of another spec; nothing was run then.
    """
    from teamnet.study.seeds.many import ManySeeds, seed_folder, seeds_of
    from teamnet.study.seeds.summary import (
        FIGURE,
        SUMMARY,
        files_of_seeds,
        finished_seeds,
        result_lines,
        summarise,
    )
    from teamnet.training.beginning import continuation
    from teamnet.training.launch import check_specs
    from teamnet.training.run_files import SPEC, check_digests, read_object
    from teamnet.training.run_folder import contents_of

    seeds = seeds_of(keeping.seeds)
    if _given(arguments, "--seed"):
        raise SpecError("seed", expected="one of --seed and --seeds", found="both", remedy="Leave one out.")
    check_count("jobs", keeping.jobs, 0)
    if keeping.out is None:
        raise SpecError(
            "out", expected="a folder, in which each seed gets one of its own", found="none", remedy="Give --out DIR."
        )
    files_of_seeds(keeping.out).check((SUMMARY, FIGURE))
    check_specs(spec, launch)
    for seed in seeds:
        folder = seed_folder(keeping.out, seed)
        if not keeping.overwrite and folder.exists() and contents_of(folder).runs:
            whole = with_function_files(replace(spec, seed=seed))
            continuation(folder, whole, launch)
            if (folder / SPEC).exists():
                check_digests(folder / SPEC, read_object(folder / SPEC), whole)
    again = "--overwrite" if keeping.overwrite else "--resume-if-present"
    summaries: dict[int, dict[str, Any]] = {}

    def finished(seed: int, summary: dict[str, Any]) -> None:
        summaries[seed] = summary
        mean, seconds = summary["mean_return"], summary["seconds"]
        shown = "no episode" if mean is None else f"mean return {mean:.2f}"
        say(f"seed {seed}: {shown}, {seconds:.1f} s; {len(summaries)} of {len(seeds)}")

    try:
        complete = ManySeeds(["train", *_shared(arguments), again], keeping.out, keeping.jobs).train(seeds, finished)
    finally:  # also if some failed
        if summaries:
            earlier = {} if keeping.overwrite else finished_seeds(keeping.out, summaries)
            content = summarise(keeping.out, {**earlier, **summaries})
            print(json.dumps(content) if keeping.json else "\n".join(result_lines(content)))
            if not keeping.json:
                print(f"written to {keeping.out}")
    if not complete:
        how = "the same command" + (", with --resume-if-present for --overwrite," if keeping.overwrite else "")
        say(f"interrupted after {len(summaries)} of {len(seeds)} seeds; {how} does the rest")
    return 0 if complete else INTERRUPTED


def _given(arguments: Sequence[str], option: str) -> bool:
    return any(argument.partition("=")[0] == option for argument in arguments)


def _shared(arguments: Sequence[str]) -> list[str]:
    """The arguments without those options that differ between the runs."""
    found, left = [], 0
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if left:
            left -= 1
        elif name.replace("_", "-") in _OWN:
            left = 0 if equals else _OWN[name.replace("_", "-")]
        else:
            found.append(argument)
    return found
