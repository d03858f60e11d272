"""``results.md`` with its figures, and ``results.jsonl``: rewritten from all finished runs.

The text is a template of the experiment (``paper/report.md.j2``, ``ablation/report.md.j2``). Its sections, rows, lines
and sentences cover only methods and tasks that have runs.
"""

from __future__ import annotations

from pathlib import Path

from teamnet.study.experiment import curves, summary_tables, traffic
from teamnet.study.experiment.cells import BASE, Cells
from teamnet.study.experiment.invocations import describe, read_invocations, write_invocations
from teamnet.study.experiment.recorded import Recorded, all_results, all_speeds, write_results
from teamnet.study.experiment.results import Result
from teamnet.study.experiment.speeds import write_speeds
from teamnet.study.experiment.study import REPORT, Study
from teamnet.study.experiment.tasks import StudyTask
from teamnet.study.experiment.template import render
from teamnet.training.owned_files import OwnedFiles
from teamnet.training.run_files import make_folder


def write_report(study: Study, recorded: Recorded) -> tuple[Path, list[Result]]:
    """Write figures, ``results.jsonl``, ``speeds.jsonl`` and ``results.md`` to the study's folder.

    Args:
        study: the study; all finished runs in its folder are included.
        recorded: runs whose folders are elsewhere or deleted; they are included too.

    Returns:
        The path of ``results.md``, and the results of all finished runs.

    Raises:
        SpecError: runs of another spec are in the folder.
        CheckpointError: files of a run are damaged.
    """
    results = all_results(study, recorded)
    write_results(study, results)
    write_invocations(study.files, [*recorded.invocations, *read_invocations(study.folder)])
    speeds = all_speeds(study, recorded)
    write_speeds(study.files, speeds)
    invocations, command = read_invocations(study.folder), study.experiment.command

    def save(name: str, picture: bytes | None) -> bool:
        """Write a figure, if there is one; returns whether there is."""
        if picture:
            study.files.write(f"figures/{name}.png", picture)
        return picture is not None

    def draw(task: StudyTask) -> bytes | None:
        return curves.draw_curves(task, cells.on(task.name), study.methods)

    cells = Cells(study, results, speeds)
    distinct = cells.distinct
    seconds = sum(result.seconds for result in distinct)
    text = render(
        study.experiment.template, cells=cells, lengths=study.lengths, base=BASE, failures=study.failures(),
        tables=summary_tables, traffic=traffic, save=save, draw=draw, describe=curves.describe_figure,
        command=command, provenance=describe(command, invocations, seconds, len(distinct)),
        **study.experiment.extras,
    )
    study.files.write(REPORT, text.encode())
    return study.folder / REPORT, results


def copy_to_docs(study: Study, docs: Path) -> None:
    """Copy the report, its figures and its data to a folder of documentation.

    Raises:
        SpecError: it cannot be written to, or has a file of the same name that is not a copy of a report.
    """
    copies, names = docs_files(docs), study.files.names()
    copies.check(names)
    make_folder(docs, "docs")
    for name in names:
        copies.write(name, (study.folder / name).read_bytes())


def docs_files(docs: Path) -> OwnedFiles:
    """The copies of reports in a folder of documentation."""
    return OwnedFiles(docs, "study", "docs")
