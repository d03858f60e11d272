"""Commands that do many runs. Heavy imports wait until a command needs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from teamnet.cli.terminal import say
from teamnet.spec.run import USUAL_RULE
from teamnet.team.address import cluster_address
from teamnet.values import check_choice

if TYPE_CHECKING:
    from teamnet.study.experiment.workflow import Outcome


def paper(arguments: list[str]) -> int:
    """``teamnet paper [options]``."""

    def options(
        of: str = USUAL_RULE, out: Path = Path("runs/paper"), tasks: tuple[str, ...] = (),
        methods: tuple[str, ...] = (), seeds: int = 10, first_seed: int = 0, episodes: int | None = None,
        quick: bool = False, address: str = "", cpus: int | None = None, report_only: bool = False,
        docs: Path | None = None, recorded: Path | None = None,
    ) -> int:
        """Train the paper's tasks by every method over many seeds, and compare the results with the published numbers.

        With environments of your own as tasks, compare the methods on those. Finished runs are not done again. OUT gets
        results.md, results.jsonl, figures/ and runs/.

        Args:
            of: the paper: map (arXiv 2010.07893), or weight-max (arXiv 2010.09770), in the folder "weight-max" of OUT
                and DOCS.
            out: the study's folder.
            tasks: cartpole, acrobot, lunarlander, mountaincar, multiplexer, regression; all of the paper if left out.
                Any other environment too, as teamnet train takes it.
            methods: which ones, and rules of your own (FILE.py); without it every rule of this package, but no baseline
                of another library.
            seeds: runs of each task by each method.
            first_seed: the first seed.
            episodes: of a run in an environment that is not the paper's.
            quick: shortened runs of two seeds in the folder "quick" of OUT, about ten minutes on two cores.
            address: of a Ray cluster; $RAY_ADDRESS, or a private one on this machine, if left out.
            cpus: how many runs at the same time; as many as there are CPUs if left out.
            report_only: start nothing, write the report over what is finished.
            docs: a folder that gets a copy of the report with its figures.
            recorded: the folder of an earlier report; what its results.jsonl has counts as finished.
        """
        from teamnet.rules.map_propagation import MapPropagation
        from teamnet.rules.weight_max import WeightMaximisation
        from teamnet.spec.check import check_folder
        from teamnet.study.experiment.study import Study
        from teamnet.study.experiment.tasks import QUICK_EPISODES, TASKS
        from teamnet.study.experiment.workflow import Choice, run_study
        from teamnet.study.paper.methods import PAPER
        from teamnet.study.weight_max.methods import TASKS as TASKS_OF_WEIGHT_MAX
        from teamnet.study.weight_max.methods import WEIGHT_MAX

        check_folder("out", out)
        papers = {MapPropagation.name: PAPER, WeightMaximisation.name: WEIGHT_MAX}
        check_choice("of", of, tuple(papers))
        if of == WeightMaximisation.name:
            out, docs, tasks = out / of, docs / of if docs else None, tasks or TASKS_OF_WEIGHT_MAX
        experiment, methods = papers[of].with_rules(methods)
        study = Study(out, experiment, episodes=episodes)
        if quick:
            lengths = {name: task.quick for name, task in TASKS.items()}
            study = Study(out / "quick", experiment, lengths, episodes or QUICK_EPISODES)
            seeds = min(seeds, _QUICK_SEEDS)
        outcome = run_study(
            study, Choice(tasks, methods, seeds, first_seed), address=cluster_address(address),
            cpus=cpus, report_only=report_only, docs=docs, recorded=recorded,
        )
        return _report(outcome)

    return tyro.cli(options, prog="teamnet paper", args=arguments)


_QUICK_SEEDS = 2


def ablation(arguments: list[str]) -> int:
    """``teamnet ablation [options]``."""

    def options(
        out: Path = Path("runs/ablation"), tasks: tuple[str, ...] = (), methods: tuple[str, ...] = (), seeds: int = 10,
        first_seed: int = 0, full: bool = False, address: str = "", cpus: int | None = None,
        report_only: bool = False, docs: Path | None = None, recorded: Path | None = None,
    ) -> int:
        """Train by every variant that communicates less over many seeds: what each learns, and what it sends in a step.

        Finished runs are not done again. OUT gets results.md, results.jsonl, figures/ and runs/.

        Args:
            out: the study's folder.
            tasks: of teamnet paper; cartpole (300 episodes) and multiplexer (a million samples) if left out.
            methods: some variants; all if left out.
            seeds: runs of each task by each variant.
            first_seed: the first seed.
            full: as long as the presets say.
            address: of a Ray cluster; $RAY_ADDRESS, or a private one on this machine, if left out.
            cpus: how many runs at the same time; as many as there are CPUs if left out.
            report_only: start nothing, write the report over what is finished.
            docs: a folder that gets a copy of the report with its figures.
            recorded: the folder of an earlier report; what its results.jsonl has counts as finished.
        """
        from teamnet.study.ablation.methods import ABLATION, LENGTHS
        from teamnet.study.experiment.study import Study
        from teamnet.study.experiment.workflow import Choice, run_study

        study = Study(out, ABLATION, {} if full else LENGTHS)
        outcome = run_study(
            study, Choice(tasks or tuple(LENGTHS), methods, seeds, first_seed), address=cluster_address(address),
            cpus=cpus, report_only=report_only, docs=docs, recorded=recorded,
        )
        return _report(outcome)

    return tyro.cli(options, prog="teamnet ablation", args=arguments)


def depth(arguments: list[str]) -> int:
    """``teamnet depth [options]``."""

    def options(
        out: Path = Path("runs/depth"), tasks: tuple[str, ...] = (), methods: tuple[str, ...] = (), seeds: int = 10,
        first_seed: int = 0, address: str = "", cpus: int | None = None, report_only: bool = False,
        docs: Path | None = None, recorded: Path | None = None,
    ) -> int:
        """Train teams of one to six hidden layers by every rule over many seeds: which depth each rule still learns.

        Finished runs are not done again. OUT gets results.md, results.jsonl, figures/ and runs/.

        Args:
            out: the study's folder.
            tasks: cartpole (300 episodes), multiplexer (half a million samples); both if left out.
            methods: a preset and a number of hidden layers, such as map-3; all if left out.
            seeds: runs of each task by each method.
            first_seed: the first seed.
            address: of a Ray cluster; $RAY_ADDRESS, or a private one on this machine, if left out.
            cpus: how many runs at the same time; as many as there are CPUs if left out.
            report_only: start nothing, write the report over what is finished.
            docs: a folder that gets a copy of the report with its figures.
            recorded: the folder of an earlier report; what its results.jsonl has counts as finished.
        """
        from teamnet.study.depth.experiment import DEPTH
        from teamnet.study.depth.methods import LENGTHS
        from teamnet.study.experiment.study import Study
        from teamnet.study.experiment.workflow import Choice, run_study

        outcome = run_study(
            Study(out, DEPTH, LENGTHS), Choice(tasks or tuple(LENGTHS), methods, seeds, first_seed),
            address=cluster_address(address), cpus=cpus, report_only=report_only, docs=docs, recorded=recorded,
        )
        return _report(outcome)

    return tyro.cli(options, prog="teamnet depth", args=arguments)


def _report(outcome: Outcome) -> int:
    """Print how a study ended; returns the exit code."""
    print(f"{len(outcome.done)} runs done, {len(outcome.results)} finished in all; report: {outcome.report}")
    for run in outcome.failed:
        say(f"failed: {run.label}, see {run.folder}/error.txt")
    return int(bool(outcome.failed))
