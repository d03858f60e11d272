"""Average return over depth: a table and a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from teamnet.study.depth.methods import DEPTHS, PRESETS, name_of
from teamnet.study.experiment.cells import Cells
from teamnet.study.experiment.figure import COLOURS, as_png, new_figure
from teamnet.study.experiment.statistics import Spread
from teamnet.study.experiment.summary_tables import mean_and_std
from teamnet.study.experiment.table import ABSENT, markdown
from teamnet.study.experiment.tasks import StudyTask


def _of(cells: Cells, task: StudyTask) -> Iterator[tuple[str, dict[int, Spread]]]:
    """The average returns of each preset by depth."""
    for base in PRESETS:
        found = {depth: cells.spread_of(task.name, name_of(base, depth)) for depth in DEPTHS}
        known = {depth: spread for depth, spread in found.items() if spread}
        if known:
            yield base, known


def deepest(found: Mapping[int, Spread], least: float = 0.0) -> int:
    """The most hidden layers up to which every depth that has runs keeps half of the highest average return.

    It is 0 if even the first one does not, or if no average return is above ``least``.
    """
    best, kept = _best(found), 0
    for depth in sorted(found):
        if best <= least or found[depth].mean < best / 2:
            break
        kept = depth
    return kept


def _best(found: Mapping[int, Spread]) -> float:
    return max(spread.mean for spread in found.values())


def _deepest(cells: Cells, task: StudyTask) -> dict[str, int]:
    """The depth up to which each preset learns: 0 where its best return is below a quarter of the best preset's."""
    known = dict(_of(cells, task))
    least = max(map(_best, known.values()), default=0.0) / 4
    return {base: deepest(found, max(0.0, least)) for base, found in known.items()}


def answer(cells: Cells, task: StudyTask) -> str:
    """The depth up to which each preset learns."""
    kept: dict[int, list[str]] = {}
    for base, depth in _deepest(cells, task).items():
        kept.setdefault(depth, []).append(f"`{base}`")
    parts = [
        f"{f'up to {depth}' if depth else 'at no depth'} by {', '.join(kept[depth])}"
        for depth in sorted(kept, reverse=True)
    ]
    return "; ".join(parts)


def depth_table(cells: Cells, task: StudyTask) -> str:
    """A line for each preset, a column for each number of hidden layers, and the deepest that keeps half."""
    kept = _deepest(cells, task)
    rows = [
        [
            f"`{base}`", *(mean_and_std(found[depth], task) if depth in found else ABSENT for depth in DEPTHS),
            str(kept[base]),
        ]
        for base, found in _of(cells, task)
    ]
    return markdown(["", *map(str, DEPTHS), "half kept up to"], rows)


def draw_depth(cells: Cells) -> bytes | None:
    """A PNG file, a panel for each task: average return over hidden layers, with the 95 % interval of the mean."""
    if not cells.tasks:
        return None
    figure, panels = new_figure(len(cells.tasks), 2, 5.5, 4.0)
    colours = dict(zip(PRESETS, COLOURS, strict=False))
    for axes, task in zip(panels.flat, cells.tasks, strict=False):
        for base, found in _of(cells, task):
            depths, spreads = list(found), list(found.values())
            axes.fill_between(
                depths, [each.low for each in spreads], [each.high for each in spreads], color=colours[base],
                alpha=0.15, linewidth=0,
            )
            axes.plot(depths, [each.mean for each in spreads], "o-", color=colours[base], label=base)
        axes.set(title=task.title, xlabel="hidden layers", ylabel="average return", xticks=list(DEPTHS))
    drawn = [zip(*reversed(axes.get_legend_handles_labels()), strict=True) for axes in panels.flat]
    named = {name: handle for pairs in drawn for name, handle in pairs}
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=len(PRESETS), frameon=False)
    return as_png(figure)
