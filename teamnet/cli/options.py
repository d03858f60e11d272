"""Options of commands about one run: every field of its spec and of its launch is a flag, with the preset's value."""

from __future__ import annotations

import dataclasses
import re
import textwrap
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from teamnet.cli.former import with_present_names
from teamnet.cli.option_groups import ALIASES, GROUPS, LATER_GROUPS, OF_TASKS
from teamnet.cli.repeated import joined
from teamnet.cli.synonyms import refuse_synonyms
from teamnet.dataflow.slots import Messages
from teamnet.errors import SpecError
from teamnet.rules.loading import find_rule, reference_of
from teamnet.rules.registry import built_in_rules
from teamnet.rules.rule import Rule
from teamnet.spec.change import changed
from teamnet.spec.former import RENAMED
from teamnet.spec.presets import METHODS, PRESETS, method_of, preset
from teamnet.spec.rules import as_rule
from teamnet.spec.run import LaunchSpec, RunSpec, TeamSpec


@dataclasses.dataclass(frozen=True)
class Choice:
    """Where the other options' usual values come from.

    Args:
        preset: map, tuned, scaled, frugal, map-async, backprop, reinforce, weight-max, ...; without it, what --rule
            names.
        rule: map, map-async, reinforce, backprop or weight-max, or one of your own: FILE.py, FILE.py:Class or
            module:Class.
    """

    preset: str = ""
    rule: str = ""


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
        recoveries: how often in a row the run resumes from its newest checkpoint by itself, after actors or nodes were
            lost, without getting any further; 0 lets it end with the error.
        replay_check: try, on a copy of the environments in another process, that checkpoints can be resumed.
        callback: of teamnet.callbacks, Evaluation(every=10000), or your own, module:Class(NAME=VALUE).
        seeds: a run for each of several seeds, 0..9 or 1,4,7, in a folder of its own, OUT/seed-N; the same command,
            started again, does what is missing.
        jobs: of these runs at once; 0 for one on each core.
        json: print the summary as one JSON object on the last line of the standard output.
    """

    out: Path | None = None
    callback: tuple[str, ...] = ()
    seeds: str = ""
    jobs: int = 1
    overwrite: bool = False
    resume_if_present: bool = False
    save_every: int = 50_000
    keep: int = 2
    recoveries: int = 10
    replay_check: bool = True
    json: bool = False


_NO_OPTIONS = ("task", "function_files", "messages")
_Option = tuple[Any, Any, str]
"""The type of an option, the dataclass field that has its default value, and its line in the help."""
def fields_of(parts: Sequence[type]) -> dict[str, _Option]:
    """The fields of some dataclasses by name: type, field, and its line in the docstring; the first one counts."""
    found: dict[str, _Option] = {}
    for part in parts:
        hints, purposes = typing.get_type_hints(part), _purposes(part)
        for field in dataclasses.fields(part):
            if field.name not in _NO_OPTIONS:
                found.setdefault(field.name, (hints[field.name], field, purposes.get(field.name, "")))
    return found


def _purposes(part: type) -> dict[str, str]:
    """The line of each argument in the docstrings of a class and of its bases; python -OO leaves none."""
    found: dict[str, str] = {}
    for kind in reversed(part.__mro__):
        text = textwrap.dedent((kind.__doc__ or "").partition("Args:\n")[2])
        for name, more in re.findall(r"^(\w+): (.*(?:\n[ \t]+.*)*)", text, re.MULTILINE):
            found[name] = " ".join(more.split())
    return found


def _options_class(
    purpose: str, parts: Sequence[type], task: str, rule: type[Rule], arguments: Sequence[str]
) -> type:
    """The class that the command line is read into: a group of options in each of its fields.

    Args:
        purpose: of the command, for its help.
        parts: dataclasses whose fields are options.
        task: a preset's name or a Gymnasium id.
        rule: of the run.
        arguments: of the command line: options that are given are shown for every task.
    """
    given = {text.removeprefix("--").removeprefix("no-").partition("=")[0].replace("-", "_") for text in arguments}
    known = {**fields_of([*parts, rule, *built_in_rules().values()]), **_team_options(rule, given)}
    of_rule = tuple(rule().settings())
    of_rules = {name for kind in built_in_rules().values() for name in kind().settings()}
    named = {"interpret", *of_rule, *(name for names in {**GROUPS, **LATER_GROUPS}.values() for name in names)}
    other_rules = tuple(name for name in known if name in of_rules - named)
    more = tuple(name for name in known if name not in {*named, *other_rules})
    groups = {
        **GROUPS, "files": (*GROUPS["files"], *more), "rule": (*of_rule, *other_rules, "interpret"), **LATER_GROUPS,
    }
    hidden = {*other_rules, *(name for name, tasks in OF_TASKS.items() if task not in tasks)} - given
    fields = []
    for group, names in groups.items():
        kind = _group_class(group, [(name, *known[name]) for name in names if name in known], hidden)
        fields.append((group, kind, dataclasses.field(default_factory=kind)))
    options = dataclasses.make_dataclass("Options", fields, frozen=True)
    options.__doc__ = purpose
    return options


def _team_options(rule: type[Rule], given: set[str]) -> dict[str, _Option]:
    """The options of each team: its fields, the name of its rule, and those settings of rules that are given."""
    own = fields_of([TeamSpec])
    own["rule"] = (str | None, own["rule"][1], own["rule"][2])
    settings = {
        name: (hint | None, dataclasses.field(default=None), "")
        for name, (hint, _, _) in fields_of([rule, *built_in_rules().values()]).items()
    }
    members = [(name, *entry) for name, entry in {**own, **settings, **own}.items()]
    found = {}
    for team, purpose in (("actor", "the team that acts"), ("critic", "the team that estimates the value")):
        hidden = {name for name in set(settings) - set(own) if f"{team}.{name}" not in given}
        kind = _group_class(team, members, hidden, prefixed=True)
        found[team] = (kind | None, dataclasses.field(default=None), purpose)
    return found


def _group_class(
    name: str, members: Sequence[tuple[str, Any, Any, str]], hidden: set[str], *, prefixed: bool = False
) -> type:
    """One group of options, ``prefixed`` with the name of the group or not; the help leaves out ``hidden`` ones."""
    fields = []
    for member, hint, field, purpose in members:
        marks: list[Any] = [tyro.conf.arg(help=purpose, prefix_name=prefixed, aliases=ALIASES.get(member))]
        marks += [tyro.conf.Suppress] if member in hidden else []
        fields.append((member, Annotated[(hint, *marks)], dataclasses.field(default=field.default)))
    group = dataclasses.make_dataclass(name, fields, frozen=True)
    group.__doc__ = ""
    return group


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
    name = _named(arguments, "rule") or _named(arguments, "preset")
    if name in ("", *built_in_rules(), *METHODS):
        return None
    rule = find_rule(name)
    of_every_run = {*fields_of((Choice, RunSpec, Messages, LaunchSpec, Keeping)), *RENAMED}
    for setting in set(rule().settings()) & of_every_run:
        raise SpecError(
            "rule", expected="settings whose names are no options of every run", found=f"{setting!r} of {name}",
            remedy="Choose another name.",
        )
    return rule


def ask_for_task(command: str, arguments: list[str]) -> int:
    """Print how a command is used that has been given no task; returns its exit code."""
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
    arguments = joined(with_present_names(arguments))
    refuse_synonyms(arguments, fields_of((Choice, RunSpec, Messages, LaunchSpec, more)))
    usual = preset(task, _method(arguments))
    own = _own_rule(arguments)
    rule = as_rule(own or _named(arguments, "rule") or usual.rule, usual.rule)
    kind = _options_class(
        purpose, (Choice, RunSpec, Messages, LaunchSpec, more), task, type(rule), arguments
    )
    defaults = {
        **{name: getattr(usual, name) for name in fields_of([RunSpec])}, **vars(usual.messages), **rule.settings(),
        "rule": reference_of(type(rule)),
        **{name: _team_values(kind, name, team) for name, team in usual.teams.items()},
    }
    ends = {name: defaults.pop(name) for name in ("env_steps", "episodes")}
    asked = _with_values(kind(), defaults)
    values = _values(tyro.cli(
        kind, prog=f"teamnet {command} {task}", args=arguments, default=asked, config=(tyro.conf.AvoidSubcommands,),
    ))
    if values["env_steps"] is None and values["episodes"] is None:
        values |= ends
    before = _values(asked)
    of_spec = {
        name: value for name, value in values.items()
        if name not in fields_of([Choice, LaunchSpec, more]) and (value != before[name] or name in ends)
    }
    for name in usual.teams:
        if name in of_spec:
            of_spec[name] = _changes(before[name], of_spec[name])
    spec = changed(dataclasses.replace(usual, rule=rule, task=task), **of_spec)
    return spec, LaunchSpec(**_part(values, LaunchSpec)), more(**_part(values, more))


def _values(options: Any) -> dict[str, Any]:
    """The value of each option by name."""
    groups = [getattr(options, group.name) for group in dataclasses.fields(options)]
    return {member.name: getattr(group, member.name) for group in groups for member in dataclasses.fields(group)}


def _part(values: Mapping[str, Any], kind: type) -> dict[str, Any]:
    return {field.name: values[field.name] for field in dataclasses.fields(kind)}


def _changes(before: Any, after: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ."""
    return {
        field.name: getattr(after, field.name) for field in dataclasses.fields(after)
        if getattr(after, field.name) != getattr(before, field.name)
    }


def _team_values(options: type, name: str, team: TeamSpec) -> Any:
    """The options of a team with its values."""
    hints = {
        member: hint for group in typing.get_type_hints(options).values()
        for member, hint in typing.get_type_hints(group).items()
    }
    kind = typing.get_args(hints[name])[0]
    rule = None if team.rule is None else reference_of(type(team.rule))
    return kind(**{**vars(team), "rule": rule})


def _with_values(options: Any, values: Mapping[str, Any]) -> Any:
    """The options with other usual values."""
    groups = {}
    for group in dataclasses.fields(options):
        members = getattr(options, group.name)
        names = {member.name for member in dataclasses.fields(members)}
        groups[group.name] = dataclasses.replace(members, **{name: values[name] for name in names if name in values})
    return dataclasses.replace(options, **groups)
