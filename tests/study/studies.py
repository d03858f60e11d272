"""Small studies and runs that were never trained, for the tests of the paper's study."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from teamnet.spec.files import to_plain
from teamnet.spec.run import RunSpec
from teamnet.study.experiment.method import Method
from teamnet.study.experiment.study import Planned, Study
from teamnet.study.experiment.tasks import TASKS
from teamnet.study.kept_run import content_of_run, keep_run
from teamnet.study.paper.methods import METHODS, PAPER


@dataclass(frozen=True)
class Diverging(Method):
    """Rates at which no team survives its first episodes."""

    def spec(self, task: str, seed: int) -> RunSpec:
        """See :class:`Method`."""
        spec = METHODS["map"].spec(task, seed)
        assert isinstance(spec, RunSpec)
        assert spec.actor
        return replace(spec, anneal_steps=0, actor=replace(spec.actor, rates=(1e300,) * 3, final_rates=(1e300,) * 3))


def made_up_run(study: Study, task: str, method: str, seed: int, returns: list[float], **summary: object) -> Planned:
    """A finished run with the given returns; lines of a single-step task stand for 12,800 samples each."""
    run = study.run(task, method, seed)
    single_step = TASKS[task].single_step
    lines, steps = [], 0
    for number, value in enumerate(returns, 1):
        steps += 12_800 if single_step else 10
        lines.append({"env_steps": steps, "episode": steps if single_step else number, "return": value, "length": 1})
    about = {
        "env_steps": steps, "episodes": steps if single_step else len(returns),
        "mean_return": sum(returns) / len(returns), "seconds": 2.0, "env_steps_per_second": steps / 2,
        "digest": f"{task}{method}{seed}".encode().hex(), **summary,
    }
    keep_run(run.folder, content_of_run(to_plain(run.spec), lines, about))
    return run


def small_study(folder: Path, **lengths: int) -> Study:
    """A study of so many episodes, or samples, for each task."""
    return Study(folder, PAPER, lengths=lengths)


def table_row(report: str, section: str, first: str) -> list[str]:
    """The cells of the row that begins with ``first`` in a section of a report."""
    text = report.split(f"## {section}\n")[1].split("\n## ")[0]
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]
