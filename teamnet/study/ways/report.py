"""``results.md`` of the ways: tables of what is said and what is learned, curves, and return against bytes."""

from __future__ import annotations

import textwrap
from pathlib import Path

from teamnet.study.paper.figures import describe_figure, draw_task
from teamnet.study.paper.locality import comparable, draw_front, ledger_table, ledgers, own_difference_table
from teamnet.study.paper.provenance import describe, read_goes, write_goes
from teamnet.study.paper.record import Recorded, merge, write_results
from teamnet.study.paper.results import Result, measure
from teamnet.study.paper.runs import REPORT, Study
from teamnet.study.paper.tables import Cells, run_table, task_table

_HEAD = """\
# Ways to talk less

{made}

{methods}
"""
_DIFFERENCES = """\
## Beside the published schedule

Welch's test of the average returns, two-sided, not adjusted for their number.

{table}
"""
_FRONT = """\
![Average return against bytes of a step](figures/front.png)

Dots are means over the seeds, bars their 95 % intervals; the dashed line joins the ways that nothing else beats in
both.
"""
_TASK = """\
## {title}

{figure}{table}
{ledger}"""
_FIGURE = """\
![Running means of all ways on {title}](figures/{name}.png)

{caption}

"""
_LEDGER = """
What a step says, at layer grain, and its share of the published schedule's:

{table}
"""
_RUNS = """\
## Seeds and digests

{table}

"""
_END = """\
{runs}## Made with

{provenance}
"""


def write_ways(study: Study, recorded: Recorded) -> tuple[Path, list[Result]]:
    """Write figures, ``results.jsonl`` and ``results.md`` to the study's folder.

    Args and raises as :func:`teamnet.study.paper.report.write_report`; returns the same.
    """
    results = merge(study, recorded, [measure(run) for run in study.finished()])
    write_results(study, results)
    cells = Cells(results, study.methods, tuple(study.lengths))
    present = {its.method for its in results}
    parts = [_HEAD.format(
        made=textwrap.fill(f"Made by `teamnet ways` from {len(results)} finished runs{_lengths(study, cells)}:", 120),
        methods="\n".join(f"- `{name}`: {way.label}" for name, way in study.methods.items() if name in present),
    )]
    if differences := own_difference_table(cells):
        parts.append(_DIFFERENCES.format(table=differences))
    if front := draw_front(cells, [task.name for task in cells.tasks]):
        study.files.write("figures/front.png", front)
        parts.append(_FRONT)
    for task in cells.tasks:
        by_method = {name: cells.results_of(task.name, name) for name in cells.methods_of(task.name)}
        figure, said = "", ledgers(cells, task.name)
        if picture := draw_task(task, by_method, study.methods):
            study.files.write(f"figures/{task.name}.png", picture)
            figure = _FIGURE.format(title=task.title, name=task.name, caption=describe_figure(task, by_method))
        ledger = _LEDGER.format(table=ledger_table(said)) if comparable(said) else ""
        parts.append(_TASK.format(title=task.title, figure=figure, table=task_table(cells, task), ledger=ledger))
    write_goes(study.files, [*recorded.goes, *read_goes(study.folder)])
    provenance = describe("ways", read_goes(study.folder), sum(its.seconds for its in results), len(results))
    runs = _RUNS.format(table=run_table(cells)) if results else ""
    parts.append(_END.format(runs=runs, provenance=provenance))
    study.files.write(REPORT, "\n".join(parts).encode())
    return study.folder / REPORT, results


def _lengths(study: Study, cells: Cells) -> str:
    """Episodes or samples of each run, where they are not the presets'."""
    lengths = [
        f"{study.lengths[task.name]:,} {'samples' if task.single_step else 'episodes'} of {task.title}"
        for task in cells.tasks if task.name in study.lengths
    ]
    return f", each of {' or '.join(lengths)}" if lengths else ""
