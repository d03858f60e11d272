"""``results.md`` of the ways: tables of what is said and what is learned, curves, and return against bytes."""

from __future__ import annotations

from pathlib import Path

from teamnet.study.paper.figures import draw_task
from teamnet.study.paper.locality import draw_front, ledger_table, ledgers, own_difference_table
from teamnet.study.paper.provenance import describe, read_goes, write_goes
from teamnet.study.paper.record import Recorded, merge, write_results
from teamnet.study.paper.results import Result, measure
from teamnet.study.paper.runs import Study
from teamnet.study.paper.tables import Cells, run_table, task_table
from teamnet.study.paper.tasks import TASKS
from teamnet.training.checkpoint import write_atomically

_HEAD = """\
# Ways to talk less

Made by `teamnet ways`: {runs} runs. `map` is the published schedule; `frugal` and all below it are two descents with
one thing changed. [communication.md](../communication.md) says what each way is.

## Beside the published schedule

Welch's test of the average returns, two-sided, not adjusted for their number.

{differences}
"""
_FRONT = """\
![Average return against bytes of a step](figures/front.png)

Dots are means over the seeds, bars one standard deviation to both sides; the dashed line joins the ways that nothing
else beats in both.
"""
_TASK = """\
## {title}

![Running means of all ways on {title}](figures/{name}.png)

{table}

What a step says, at layer grain, and its share of the published schedule's:

{ledger}
"""
_END = """\
## Seeds and digests

{table}

## Made with

{provenance}
"""


def write_ways(study: Study, recorded: Recorded) -> tuple[Path, list[Result]]:
    """Write figures, ``results.jsonl`` and ``results.md`` to the study's folder.

    Args and raises as :func:`teamnet.study.paper.report.write_report`; returns the same.
    """
    results = merge(study, recorded, [measure(run) for run in study.finished()])
    write_results(study, results)
    cells, figures = Cells(results, study.methods), study.folder / "figures"
    parts = [_HEAD.format(runs=len(results), differences=own_difference_table(cells))]
    tasks = [task for name, task in TASKS.items() if any(its.task == name for its in results)]
    if draw_front(cells, figures / "front.png", [task.name for task in tasks]):
        parts.append(_FRONT)
    for task in tasks:
        by_method = {name: cells.results_of(task.name, name) for name in study.methods}
        draw_task(task, by_method, study.methods, figures / f"{task.name}.png")
        said = ledgers(cells, task.name)
        parts.append(_TASK.format(
            title=task.title, name=task.name, table=task_table(cells, task),
            ledger=ledger_table(said) if "map" in said else "No run of `map`.",
        ))
    write_goes(study.folder, [*recorded.goes, *read_goes(study.folder)])
    provenance = describe("ways", read_goes(study.folder), sum(its.seconds for its in results), len(results))
    parts.append(_END.format(table=run_table(cells), provenance=provenance))
    path = study.folder / "results.md"
    write_atomically(path, "\n".join(parts).encode())
    return path, results
