"""``results.md`` with its figures, and ``results.jsonl``: made anew from whatever runs are finished."""

from __future__ import annotations

import shutil
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

from teamnet.errors import SpecError
from teamnet.study.paper.figures import describe_axis, draw_task
from teamnet.study.paper.locality import (
    BASE,
    draw_front,
    ledger_table,
    ledgers,
    messages_between_units,
    own_difference_table,
)
from teamnet.study.paper.provenance import GOES, describe, read_goes, write_goes
from teamnet.study.paper.record import RESULTS, Recorded, merge, write_results
from teamnet.study.paper.results import Result, measure
from teamnet.study.paper.runs import Study
from teamnet.study.paper.tables import Cells, difference_table, overview, run_table, task_table
from teamnet.study.paper.tasks import TASKS, StudyTask
from teamnet.training.checkpoint import write_atomically

_INTRODUCTION = """\
# Results

Made by `teamnet paper` from {runs} finished runs; each is determined by its spec and seed and gives the same digest
wherever it runs. `results.jsonl` has one line for each run: what made it, its scores and its smoothed curve.

**Average return** is the mean return over *all* episodes of training, from the first on (for the multiplexer and for
regression the mean reward over all samples), as the paper reports it: first the mean over the seeds, then in brackets
their standard deviation (n - 1). **95 % interval**: of the mean over the seeds, by bootstrap (percentiles of 10,000
resamples). **Episodes to first** X: until an episode first returns X, the score at which the task counts as solved; for
CartPole that is the perfect score, the other tasks have none. **Episodes to solved**: until the mean of the last 100
episodes reaches it. Both are medians over the seeds, where a run that never came there counts as later than all others;
how many did stands in brackets.
"""

_SHORTENED = """
**These runs were shortened** ({lengths}). Their numbers try out the command; beside the published ones they mean
nothing, and no difference is tested.
"""

_TEST = """\
## Beside the published numbers

Published: mean (standard deviation) of ten runs, from the author's notebook and the official README; their code
prints deviations with n below the line, which the test turns into those with n - 1. The test is Welch's two-sided
t-test at the 5 % level, from mean, deviation and number of runs of both sides. It takes the seeds' averages as
normally distributed, which ten runs of tasks with early and late finders are only roughly. Many comparisons are made,
so that one in twenty differs by chance alone; the column of Holm's p allows for that within this table. The
verdict goes by the plain p, which is the stricter way for a claim of being no worse. "Not below beyond chance" is no
proof of being equal: with large deviations, ten runs cannot tell small differences.

{table}
"""

_OWN = """\
## Beside our own `map`

The same test against this study's runs of `map`, which had the same environments and number of episodes.

{table}
"""

_COMMUNICATION = """\
## What it takes to communicate

What one step of CartPole says when every layer is a unit, actor and critic together: a message is one publication for
one reader. Observations, actions, TD errors and the rows that keep their trace are {signals} messages of
every method's (`map-async` gives each unit the rows by themselves: one more each); the others are activations, error
activations and gates between units. Shares are of `map`'s.

{table}

![Average return against bytes of a step](figures/communication.png)

Average return over the seeds with its standard deviation, against the bytes of a step. The dashed line joins the
methods that nothing else beats in both.
"""

_TASK = """\
## {title}

{figure}{table}

{note}
"""

_FIGURE = """\
![Running means of all methods on {title}](figures/{name}.png)

{axis}. Lines are {mean} over the seeds, bands one standard deviation to both sides; in brackets the number of runs, or
where not all curves were kept, of how many.

"""

_END = """\
## Seeds and digests

A digest is the SHA-256 of all parameters after training; its first eight characters are shown, all of them are in
`results.jsonl`. Seconds are of training on one core, beside whatever ran on the others.

{runs}

## Made with

{provenance}
"""


def write_report(study: Study, recorded: Recorded) -> tuple[Path, list[Result]]:
    """Write figures, ``results.jsonl`` and ``results.md`` to the study's folder.

    Args:
        study: the study; all finished runs in its folder count.
        recorded: runs whose folders are elsewhere or gone; they count too.

    Returns:
        The path of ``results.md``, and the results of all finished runs.

    Raises:
        SpecError: runs of another spec lie in the folder.
        CheckpointError: files of a run are damaged.
    """
    results = merge(study, recorded, [measure(run) for run in study.finished()])
    by_method: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        by_method[result.task][result.method].append(result)
    write_results(study, results)
    cells, notes = Cells(results, study.methods), read_notes()
    parts = [_INTRODUCTION.format(runs=len(results))]
    if study.lengths:
        lengths = ", ".join(
            f"{task}: {count:,} {'samples' if TASKS[task].single_step else 'episodes'}"
            for task, count in study.lengths.items()
        )
        parts.append(_SHORTENED.format(lengths=lengths))
    parts.append(f"## Average return\n\n{overview(cells)}\n\n{notes['all']}\n")
    if not study.lengths:
        parts.append(_TEST.format(table=difference_table(cells)))
        parts.append(_OWN.format(table=own_difference_table(cells)))
    front = draw_front(cells, study.folder / "figures" / "communication.png")
    if front and cells.results_of("cartpole", BASE):
        said = ledgers(cells, "cartpole")
        signals = said[BASE].total.messages - messages_between_units(said[BASE])
        parts.append(_COMMUNICATION.format(signals=signals, table=ledger_table(said)))
    for name, task in TASKS.items():
        if by_method[name]:
            drawn = draw_task(task, by_method[name], study.methods, study.folder / "figures" / f"{name}.png")
            figure = _figure(task) if drawn else ""
            parts.append(_TASK.format(title=task.title, figure=figure, table=task_table(cells, task), note=notes[name]))
    if failures := study.failures():
        lines = [f"- {name}: {error}" for name, error in failures.items()]
        parts.append("## Failed runs\n\n" + "\n".join(lines) + "\n")
    write_goes(study.folder, [*recorded.goes, *read_goes(study.folder)])
    provenance = describe("paper", read_goes(study.folder), sum(its.seconds for its in results), len(results))
    parts.append(_END.format(runs=run_table(cells), provenance=provenance))
    path = study.folder / "results.md"
    write_atomically(path, "\n".join(parts).encode())
    return path, results


def _figure(task: StudyTask) -> str:
    axis, mean = describe_axis(task), "geometric means" if task.negative_error else "means"
    return _FIGURE.format(title=task.title, name=task.name, axis=axis[0].upper() + axis[1:], mean=mean)


def read_notes() -> dict[str, str]:
    """The paragraph on each task, by the task's name, and on all of them under ``all``."""
    sections = (files("teamnet.study.paper") / "notes.md").read_text(encoding="utf-8").split("\n## ")[1:]
    return {name.strip(): text.strip() for name, _, text in (section.partition("\n") for section in sections)}


def copy_to_docs(study: Study, docs: Path) -> None:
    """Copy the report, its figures and what it was made from to a folder of documentation.

    Raises:
        SpecError: it cannot be written to.
    """
    try:
        (docs / "figures").mkdir(parents=True, exist_ok=True)
        for name in ("results.md", RESULTS, GOES):
            shutil.copyfile(study.folder / name, docs / name)
        for figure in sorted((study.folder / "figures").glob("*.png")):
            shutil.copyfile(figure, docs / "figures" / figure.name)
    except OSError as error:
        raise SpecError(
            "docs", expected="a folder that can be written to", found=str(error), mend="Give another --docs."
        ) from None
