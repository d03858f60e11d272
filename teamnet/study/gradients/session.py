"""``teamnet gradients``: measures every method on every team, saves the records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from teamnet.dataflow.layers import LayerSpec
from teamnet.errors import SpecError
from teamnet.spec.check import whole_numbers
from teamnet.spec.presets import check_method, digests_of_methods
from teamnet.spec.run import RunSpec
from teamnet.study.experiment.records import Record, Records, Settings
from teamnet.study.gradients.enumeration import can_enumerate
from teamnet.study.gradients.quality import joined, quality
from teamnet.study.gradients.table import draw_gradients, gradients_table
from teamnet.study.gradients.team import (
    UNITS,
    gradient_of,
    initial_parameters,
    layers_of,
    rule_of,
    spec_of_run,
    spec_of_team,
    trains,
    with_rule,
)
from teamnet.study.gradients.updates import Moments, Parameters, measure_updates
from teamnet.team.rule_check import check_rules
from teamnet.training.checkpoint import checkpoint_at
from teamnet.training.single_step import make_single_step_task
from teamnet.values import check_choice, check_count

ROWS = 128
"""Samples of a batch."""


@dataclass(frozen=True)
class Question:
    """What is measured.

    Args:
        methods: presets, and rules of a user's own.
        hidden: neurons of the hidden layers of each team, such as ``16-8``.
        units: the types of hidden units.
        address_bits: of the multiplexer.
        samples: of each method.
        seed: of the parameters and of the samples.
        run: a checkpoint with the parameters, or the folder of a run, for its newest one; those at the start if empty.
    """

    methods: tuple[str, ...]
    hidden: tuple[str, ...]
    units: tuple[str, ...]
    address_bits: int
    samples: int
    seed: int
    run: str = ""


_ALL = "all"
"""In place of a layer: the record of all of them together."""


@dataclass(frozen=True)
class _Team:
    """A team whose parameters are given."""

    name: str
    units: str
    spec: RunSpec
    layers: list[LayerSpec]
    parameters: Parameters


def run_gradients(
    question: Question, *, out: Path, overwrite: bool = False, say: Callable[[str], None]
) -> list[Record]:
    """Measure what a folder does not have; each record is saved before the next one begins.

    Args:
        question: what is measured.
        out: gets ``gradients.json`` (the settings), ``gradients.jsonl``, ``gradients.md`` and ``gradients.png``.
        overwrite: whether to replace the results of an earlier call; they stay until there are new ones.
        say: called with progress messages.

    Returns:
        A record for each method, team and layer, and one for each method and team as a whole.

    Raises:
        TeamnetError: a value, the folder or a rule is refused, or a rule does not update by Adam.
    """
    for name in question.methods:
        check_method("methods", name)
    teams = list(_teams(question))
    tried = [
        (team, method) for team in teams for method in question.methods
        if trains(rule_of(method), team.spec, team.layers)
    ]
    if not tried:
        raise SpecError(
            "methods", expected="a rule that can train these units", found=", ".join(question.methods),
            remedy="Choose other --units, or another rule.",
        )
    for team, method in tried:
        check_rules([with_rule(team.layers, rule_of(method))])
    checkpoint = {"checkpoint": checkpoint_at(Path(question.run)).name} if question.run else {}
    settings = Settings.of("gradients.json", **asdict(question), **checkpoint, **digests_of_methods(question.methods))
    records = Records(
        out, "gradients", ["gradients.jsonl", "gradients.md", "gradients.png"], overwrite=overwrite, settings=settings
    )
    with records:
        return _fill(records, question, tried, say)


def _fill(
    records: Records, question: Question, tried: Sequence[tuple[_Team, str]], say: Callable[[str], None]
) -> list[Record]:
    truths: dict[str, list[Moments]] = {}
    for team, method in tried:
        about = {"hidden": team.name, "units": team.units, "method": method}
        if records.has({**about, "layer": _ALL}):  # the last one of a method
            continue
        records.drop(about)
        say(f"{method}, {team.units} units, {team.name}")
        key = f"{team.name} {team.units}"
        if key not in truths:
            truths[key] = gradient_of(team.spec, team.layers, team.parameters, question.samples)
        for row in _compared(team, method, truths[key], question):
            records.add({**about, "exact": can_enumerate(team.layers), **row})
        records.files.write("gradients.md", f"# Updates and gradients\n\n{gradients_table(records.rows)}\n".encode())
    records.files.write("gradients.png", draw_gradients(records.rows))
    return records.rows


def _teams(question: Question) -> Iterator[_Team]:
    check_count("samples", question.samples, 2 * ROWS)
    check_count("address_bits", question.address_bits, 1, 6)
    check_count("seed", question.seed, 0)
    if question.run:
        spec, parameters = spec_of_run(Path(question.run), ROWS)
        layers = layers_of(spec)
        units = layers[0].family if len(layers) > 1 else "none"
        yield _Team("-".join(map(str, spec.hidden)), units, spec, layers, parameters)
        return
    for units in question.units:
        check_choice("units", units, UNITS)
        for name in question.hidden:
            sizes = whole_numbers("hidden", name.split("-"))
            spec = spec_of_team(sizes, units, question.address_bits, ROWS, question.seed)
            layers = layers_of(spec)
            yield _Team(name, units, spec, layers, initial_parameters(layers, question.seed))


def _compared(team: _Team, method: str, gradient: Sequence[Moments], question: Question) -> Iterator[dict[str, Any]]:
    layers = with_rule(team.layers, rule_of(method))
    batches = -(-question.samples // ROWS)
    task = make_single_step_task(replace(team.spec, seed=question.seed))
    updates = measure_updates(layers, team.parameters, task, batches, question.seed)
    for number, (update, true) in enumerate(zip(updates, gradient, strict=True), 1):
        yield {"layer": str(number), **asdict(quality(update, true))}
    yield {"layer": _ALL, **asdict(quality(joined(updates), joined(list(gradient))))}
