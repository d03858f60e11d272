"""Options of commands about one run: every field of its spec and of its launch is a flag, with the preset's value."""

from __future__ import annotations

import dataclasses
import textwrap
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import tyro

from teamnet.rules.loading import find_rule
from teamnet.rules.registry import built_in_rules
from teamnet.rules.rule import Rule
from teamnet.spec.presets import PRESETS, method_of, preset
from teamnet.spec.run import LaunchSpec, RunSpec


@dataclasses.dataclass(frozen=True)
class Choice:
    """Where the other options' usual values come from.

    Args:
        preset: map, map-async, backprop, reinforce, reinforce-part, tuned or frugal; without it, what --rule names.
    """

    preset: str = ""


@dataclasses.dataclass(frozen=True)
class Keeping:
    """What a run keeps.

    Args:
        out: the run's folder; nothing is kept without it.
        overwrite: replace the run that is in the folder.
        resume_if_present: continue the run that is in the folder, which has to have the same values but for its end;
            start a new one if there is none.
        save_every: environment steps between checkpoints.
        keep: checkpoints that are kept.
        recoveries: how often in a row the run goes back to its newest checkpoint by itself, after actors or nodes were
            lost, without getting any further; 0 lets it end with the error.
        replay_check: try, on a copy of the environments in another process, that checkpoints can be resumed.
        json: print the summary as one JSON object on the last line of the standard output.
    """

    out: Path | None = None
    overwrite: bool = False
    resume_if_present: bool = False
    save_every: int = 50_000
    keep: int = 2
    recoveries: int = 10
    replay_check: bool = True
    json: bool = False


_NO_OPTIONS = ("task", "settings", "source")


def _options_class(purpose: str, parts: Sequence[type]) -> type:
    fields: list[Any] = []
    arguments = []
    for part in parts:
        hints, taken = typing.get_type_hints(part), {name for name, _, _ in fields}
        fields += [
            (field.name, hints[field.name], field) for field in dataclasses.fields(part)
            if field.name not in _NO_OPTIONS and field.name not in taken
        ]
        arguments.append(textwrap.dedent((part.__doc__ or "").partition("Args:\n")[2]).rstrip())  # python -OO has none
    with_defaults = [(name, hint, dataclasses.field(default=its.default)) for name, hint, its in fields]
    options = dataclasses.make_dataclass("Options", with_defaults, frozen=True)
    options.__doc__ = f"{purpose}\n\nArgs:\n" + textwrap.indent("\n".join(arguments), "    ")
    return options


def _named(arguments: list[str], option: str) -> str:
    """The value that the arguments give to an option; empty for none."""
    value = ""
    for place, argument in enumerate(arguments):
        name, equals, given = argument.removeprefix("--").partition("=")
        if argument.startswith("--") and name == option:
            value = given if equals else " ".join(arguments[place + 1 : place + 2])
    return value


def _method(arguments: list[str]) -> str:
    """The preset that the arguments name: it decides the values with which they are then read."""
    return _named(arguments, "preset") or method_of(_named(arguments, "rule"))


def _own_rule(arguments: list[str]) -> type[Rule] | None:
    """The rule of a user that the arguments name: its settings are options."""
    name = _named(arguments, "rule")
    return None if not name or name in built_in_rules() else find_rule(name)


def ask_for_task(command: str, arguments: list[str]) -> int:
    """Say how a command is used that has been given no task; returns its exit code."""
    print(f"usage: teamnet {command} TASK [options]\n\nTASK: {', '.join(PRESETS)}, or a Gymnasium id")
    print(f"teamnet {command} TASK --help lists the options with the task's values.")
    return 0 if arguments else 2


More = TypeVar("More")


def parse_run_options(
    command: str, purpose: str, more: type[More], task: str, arguments: list[str]
) -> tuple[RunSpec, LaunchSpec, More]:
    """The specs that ``teamnet COMMAND TASK`` was asked for; an end that is given replaces the preset's.

    Args:
        command: its name.
        purpose: what it does, for its help.
        more: a dataclass of the options that it has beside.
        task: a preset's name or a Gymnasium id.
        arguments: of the command line.

    Raises:
        SpecError: the task or the preset is unknown.
        SystemExit: an option is unknown or has no such value; the nearest known one has been named.
    """
    usual = preset(task, _method(arguments))
    own = _own_rule(arguments)
    kind = _options_class(purpose, (*([own] if own else []), Choice, RunSpec, LaunchSpec, more))
    rules = set(typing.get_type_hints(own)) & set(own().settings()) if own else set[str]()
    defaults = {
        field.name: getattr(usual, field.name) for field in dataclasses.fields(RunSpec)
        if field.name not in _NO_OPTIONS and field.name not in rules
    }
    ends = {name: defaults.pop(name) for name in ("env_steps", "episodes")}
    options = tyro.cli(
        kind, prog=f"teamnet {command} {task}", args=arguments, default=kind(**defaults),
        config=(tyro.conf.AvoidSubcommands,),
    )
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(kind)}
    if values["env_steps"] is None and values["episodes"] is None:
        values |= ends

    def take(part: type) -> dict[str, Any]:
        return {
            field.name: values[field.name] for field in dataclasses.fields(part)
            if field.name in values and (part is more or field.name not in rules)
        }

    settings = tuple((name, str(values[name])) for name in sorted(rules))
    return RunSpec(task=task, settings=settings, **take(RunSpec)), LaunchSpec(**take(LaunchSpec)), more(**take(more))
