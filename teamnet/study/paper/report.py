"""``results.md`` with its figures, and ``results.jsonl``: made anew from whatever runs are finished.

Sections, rows, lines and sentences are about methods and tasks that have runs, and about no others.
"""

from __future__ import annotations

from pathlib import Path

from teamnet.study.paper.figures import describe_figure, draw_task
from teamnet.study.paper.locality import (
    BASE,
    comparable,
    draw_front,
    ledger_table,
    ledgers,
    messages_between_units,
    own_difference_table,
)
from teamnet.study.paper.notes import ALL, notes_on
from teamnet.study.paper.provenance import describe, read_goes, write_goes
from teamnet.study.paper.record import Recorded, merge, write_results
from teamnet.study.paper.results import Result, measure
from teamnet.study.paper.runs import REPORT, Study
from teamnet.study.paper.tables import Cells, difference_table, overview, run_table, task_table
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import make_folder

_INTRODUCTION = """\
# Results

Made by `teamnet paper` from {runs} finished runs; each is determined by its spec and seed and gives the same digest
wherever it runs. `results.jsonl` has one line for each run: what made it, its scores and its smoothed curve.
"""

_AVERAGE = """\
**Average return** is the mean return over *all* episodes of training, from the first on (the mean reward over all
samples, where an episode is one step), as the paper reports it: first the mean over the seeds, then in brackets their
standard deviation (n - 1). **95 % interval**: of the mean over the seeds, by bootstrap (percentiles of 10,000
resamples).{episodes}
"""

_EPISODES = """ \
**Episodes to first** X: until an episode first returns X, the score at which the task counts as solved.
**Episodes to solved**: until the mean of the last 100 episodes reaches it. Both are medians over the seeds, where a run
that never came there counts as later than all others; how many did stands in brackets."""

_SHORTENED = """\
**These runs were shortened** ({lengths}). Their numbers try out the command: no published number is shown beside them,
and no difference is tested.
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
one reader. Observations, actions, TD errors and the rows that keep their trace are {signals} messages of every
method's{rows}; the others are activations,
error activations and gates between units. Shares are of `map`'s.

{table}

![Average return against bytes of a step](figures/communication.png)

Average return over the seeds with its 95 % interval, against the bytes of a step. The dashed line joins the
methods that nothing else beats in both.
"""

_ROWS = " (`map-async` gives each unit the rows by themselves: one more each)"

_TASK = """\
## {title}

{figure}{table}
{note}"""

_FIGURE = """\
![Running means of all methods on {title}](figures/{name}.png)

{caption}

"""

_RUNS = """\
## Seeds and digests

A digest is the SHA-256 of all parameters after training; its first eight characters are shown, all of them are in
`results.jsonl`. Seconds are of training on one core, beside whatever ran on the others.

{table}

"""

_END = """\
{runs}## Made with

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
    write_results(study, results)
    cells = Cells(results, study.methods, tuple(study.lengths))
    parts = [_INTRODUCTION.format(runs=len(results)), *_averages(study, cells)]
    if not study.lengths:
        parts += [text.format(table=table) for text, table in (
            (_TEST, difference_table(cells)), (_OWN, own_difference_table(cells))
        ) if table]
    said = ledgers(cells, "cartpole")
    if comparable(said):
        if front := draw_front(cells):
            study.files.write("figures/communication.png", front)
        signals = said[BASE].total.messages - messages_between_units(said[BASE])
        rows = _ROWS if "map-async" in said else ""
        parts.append(_COMMUNICATION.format(signals=signals, rows=rows, table=ledger_table(said)))
    for task in cells.tasks:
        by_method = {name: cells.results_of(task.name, name) for name in cells.methods_of(task.name)}
        figure = ""
        if picture := draw_task(task, by_method, study.methods):
            study.files.write(f"figures/{task.name}.png", picture)
            figure = _FIGURE.format(title=task.title, name=task.name, caption=describe_figure(task, by_method))
        note = notes_on(task.name, by_method, shortened=task.name in study.lengths)
        parts.append(_TASK.format(
            title=task.title, figure=figure, table=task_table(cells, task), note=f"\n{note}\n" if note else ""
        ))
    if failures := study.failures():
        lines = [f"- {name}: {error}" for name, error in failures.items()]
        parts.append("## Failed runs\n\n" + "\n".join(lines) + "\n")
    write_goes(study.files, [*recorded.goes, *read_goes(study.folder)])
    provenance = describe("paper", read_goes(study.folder), sum(its.seconds for its in results), len(results))
    runs = _RUNS.format(table=run_table(cells)) if results else ""
    parts.append(_END.format(runs=runs, provenance=provenance))
    study.files.write(REPORT, "\n".join(parts).encode())
    return study.folder / REPORT, results


def _averages(study: Study, cells: Cells) -> list[str]:
    """What the tables show, the table of averages, and how the methods in it were set up; nothing without runs."""
    if not cells.results:
        return []
    parts = [_AVERAGE.format(episodes="" if all(task.single_step for task in cells.tasks) else _EPISODES)]
    shortened = [task for task in cells.tasks if task.name in study.lengths]
    if shortened:
        lengths = ", ".join(
            f"{task.name}: {study.lengths[task.name]:,} {'samples' if task.single_step else 'episodes'}"
            for task in shortened
        )
        parts.append(_SHORTENED.format(lengths=lengths))
    methods = {its.method for its in cells.results}
    notes = notes_on(ALL, methods, shortened=bool(shortened))
    return [*parts, f"## Average return\n\n{overview(cells)}\n", *([f"{notes}\n"] if notes else [])]


def copy_to_docs(study: Study, docs: Path) -> None:
    """Copy the report, its figures and what it was made from to a folder of documentation.

    Raises:
        SpecError: it cannot be written to, or has such a file that is no copy of a report.
    """
    copies, names = docs_files(docs), study.files.names()
    copies.check(names)
    make_folder(docs, "docs")
    for name in names:
        copies.write(name, (study.folder / name).read_bytes())


def docs_files(docs: Path) -> OwnedFiles:
    """The copies of reports in a folder of documentation."""
    return OwnedFiles(docs, "study", "docs")
