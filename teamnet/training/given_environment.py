"""Environments that Python code gives as objects: how a run records them, and how more of them are made.

An environment, a class, a factory or a wrapper that can be imported is recorded by its name, so that every later
process can make it. What has no name (a lambda, a class of ``__main__``, an object whose arguments are not known) is
recorded as ``<module.name>``, and has to be given again.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec

from teamnet.errors import EnvironmentRefused, SpecError, shown
from teamnet.spec.environment_options import UNNAMED, Call, arguments_of, texts_of
from teamnet.spec.run import RunSpec
from teamnet.training.environment_maker import (
    Maker,
    bare_environment,
    checked,
    limited,
    limits_of,
    made_of_spec,
    rendering,
    wrapped,
)
from teamnet.values import plain_number

_Environment = gymnasium.Env[Any, Any]


@dataclass(frozen=True)
class Given:
    """An environment as it was given.

    Args:
        task: of the spec.
        options: the spec's ``env_kwargs``, ``wrappers`` and ``max_episode_steps``.
        make: makes it; ``None`` where the spec suffices.
    """

    task: str
    options: Mapping[str, Any]
    make: Maker | None


@dataclass(frozen=True)
class _Inner:
    """An environment without the wrappers that were given with it.

    Args:
        name: of the task, in the spec.
        arguments: of the environment.
        wrappers: that it has already.
        most_steps: of an episode, where that is not the environment's own limit.
        make: makes it.
        is_object: whether ``make`` first returns the object that was given.
    """

    name: str
    arguments: Mapping[str, Any]
    wrappers: tuple[str, ...]
    most_steps: int | None
    make: Maker
    is_object: bool = False


def as_given(
    task: Any, env_kwargs: Mapping[str, Any] | Sequence[str] = (), wrappers: Sequence[Any] = (),
    max_episode_steps: int | None = None,
) -> Given:
    """An environment and its options as a run records them.

    Args:
        task: a preset's name or a Gymnasium id, a ``gymnasium.Env``, a class, a function that makes one, or an
            ``EnvSpec``.
        env_kwargs: arguments of the environment by name, or texts ``NAME=VALUE``.
        wrappers: the innermost first: texts, classes, or functions of an environment.
        max_episode_steps: environment steps after which an episode is truncated.

    Raises:
        SpecError: one of them is something else.
    """
    arguments = dict(env_kwargs) if isinstance(env_kwargs, Mapping) else arguments_of(env_kwargs)
    outer = [wrappers] if isinstance(wrappers, str) or callable(wrappers) else list(wrappers)
    names = [wrapper if isinstance(wrapper, str) else _name_of("wrappers", wrapper) for wrapper in outer]
    inner = _inner(task, arguments, plain_number(max_episode_steps))
    kwargs, all_named = [], True
    for name, value in inner.arguments.items():
        try:
            kwargs += texts_of({name: value.item() if isinstance(value, np.generic) else value})
        except ValueError:
            kwargs.append(f"{name}={UNNAMED}{type(value).__name__}>")
            all_named = False
    options = {
        "env_kwargs": tuple(kwargs), "wrappers": (*inner.wrappers, *names), "max_episode_steps": inner.most_steps,
    }
    name = inner.name
    if not all_named and not name.startswith(UNNAMED):
        name = f"{UNNAMED}{name}>"
    unnamed = any(text.startswith(UNNAMED) for text in (name, *options["wrappers"]))

    def make(render_mode: str | None) -> _Environment:
        environment = inner.make(render_mode)
        for wrapper in outer:
            if isinstance(wrapper, str):
                environment = wrapped(environment, wrapper)
            else:
                environment = checked("wrappers", wrapper(environment))
        return environment

    return Given(name, options, make if unnamed or inner.is_object else None)


def given_again(spec: RunSpec, env: Any, options: Mapping[str, Any]) -> Maker:
    """What makes the environments of a run that is loaded.

    Args:
        spec: of the run.
        env: as for :func:`as_given`; ``None`` for what the run was started with.
        options: ``env_kwargs``, ``wrappers`` and ``max_episode_steps`` that are given too. The others are those of the
            run, but for an environment that is made already, which has its own.

    Raises:
        SpecError: one that the run needs has no name, and is not given; or wrappers of the run are left out.
    """
    recorded = {name: getattr(spec, name) for name in ("env_kwargs", "wrappers", "max_episode_steps")}
    options = dict(options) if isinstance(env, gymnasium.Env) else {**recorded, **options}
    for name in ("env_kwargs", "wrappers"):
        texts = options.get(name, ())
        unnamed = [text for text in texts if isinstance(text, str) and text.partition("=")[2].startswith(UNNAMED)]
        unnamed += [text for text in texts if isinstance(text, str) and text.startswith(UNNAMED)]
        if unnamed:
            raise SpecError(
                name, expected="what the run was started with, given again", found=f"only its name, {unnamed[0]}",
                remedy=f"Use TeamAgent.load(folder, env=..., {name}=...).",
            )
    found = as_given(spec.task if env is None else env, **options)
    own = {text.partition("(")[0] for text in found.options["wrappers"]}
    lost = [text for text in recorded["wrappers"] if not text.startswith(UNNAMED) and text.partition("(")[0] not in own]
    if lost and not isinstance(env, gymnasium.Env):
        raise SpecError(
            "wrappers", expected="all wrappers of the run, the innermost first", found=f"none of {', '.join(lost)}",
            remedy=f"Give the whole list, {shown(list(recorded['wrappers']))}.",
        )
    return found.make or partial(made_of_spec, replace(spec, task=found.task, **found.options))


def _inner(task: Any, arguments: Mapping[str, Any], most_steps: int | None) -> _Inner:
    if isinstance(task, str):
        def of_name(render_mode: str | None) -> _Environment:
            return bare_environment(task, arguments, most_steps, render_mode)

        return _Inner(task, arguments, (), most_steps, of_name)
    if isinstance(task, gymnasium.Env):
        if arguments:
            raise SpecError(
                "env_kwargs", expected="none beside an environment that is made", found=shown(arguments),
                remedy="Give its class, or make it with them.",
            )
        return _of_object(task, most_steps)
    if isinstance(task, EnvSpec):
        return _of_spec(task, arguments, most_steps)
    if callable(task):
        name = _name_of("task", task)

        def of_class(render_mode: str | None) -> _Environment:
            return limited(checked(name, task(**arguments, **rendering(render_mode))), most_steps)

        return _Inner(name, arguments, (), most_steps, of_class)
    raise SpecError(
        "task", expected="a preset's name, a Gymnasium id, an environment, its class, a factory or an EnvSpec",
        found=shown(task), remedy="Give one of these; for several environments, one of them and num_envs.",
    )


def _of_object(environment: _Environment, most_steps: int | None) -> _Inner:
    """The environment, and after it others like it: of its ``EnvSpec``, or copies of it.

    The first one is a copy, as the caller may still use the object; it is the object itself where that has wrappers
    of its own, whose records the caller may want to read, or cannot be copied.
    """
    spec, left = environment.spec, [environment]
    found = _of_spec(spec, {}, most_steps) if spec else None
    registered = gymnasium.registry.get(spec.id) if spec and most_steps is None else None
    lost_limit = registered is not None and registered.max_episode_steps and not limits_of(environment)
    alike = found is not None and not lost_limit and not any(
        text.startswith(UNNAMED) for text in (found.name, *found.wrappers)
    )

    def first() -> _Environment:
        given = left.pop()
        if alike and found is not None and not found.wrappers:
            with suppress(Exception):  # an environment can hold what cannot be copied
                return copy.deepcopy(given)
        return given

    def make(render_mode: str | None) -> _Environment:
        if left and render_mode is None:
            return limited(first(), most_steps)
        if found is not None and alike:
            return found.make(render_mode)
        try:
            return limited(copy.deepcopy(environment), most_steps)
        except Exception as error:  # an environment can hold what cannot be copied
            raise EnvironmentRefused(
                "task", expected="a class or a factory, as more than one environment is needed",
                found=f"an object that cannot be copied: {type(error).__name__}: {error}",
                remedy="Give its class, or a function without arguments that makes it.",
            ) from error

    name = f"{UNNAMED}{_path_of(type(environment.unwrapped))}>"
    if found is None or not alike:
        return _Inner(name, {}, (), most_steps, make, is_object=True)
    return _Inner(found.name, found.arguments, found.wrappers, found.most_steps, make, is_object=True)


def _of_spec(spec: EnvSpec, arguments: Mapping[str, Any], most_steps: int | None) -> _Inner:
    registered = gymnasium.registry.get(spec.id)
    limit = most_steps
    if limit is None and not (registered and registered.max_episode_steps == spec.max_episode_steps):
        limit = spec.max_episode_steps
    more = {} if limit is None else {"max_episode_steps": limit}

    def make(render_mode: str | None) -> _Environment:
        # a window of the given one is not opened for each of the others
        own = {"render_mode": None} if spec.kwargs.get("render_mode") == "human" else {}
        return gymnasium.make(spec, disable_env_checker=True, **more, **arguments, **{**own, **rendering(render_mode)})

    wrappers = []
    for wrapper in spec.additional_wrappers:
        try:
            if wrapper.kwargs is None:
                raise ValueError("its arguments are not known")
            wrappers.append(Call(wrapper.entry_point, wrapper.kwargs).as_text())
        except ValueError:
            wrappers.append(f"{UNNAMED}{wrapper.entry_point}>")
    same = registered is not None and registered.entry_point == spec.entry_point
    own = {name: value for name, value in spec.kwargs.items() if name != "render_mode"}
    name = spec.id if same else f"{UNNAMED}{spec.id}>"
    return _Inner(name, {**own, **arguments}, tuple(wrappers), limit, make)


def _name_of(where: str, given: Any) -> str:
    """``module:name`` of a class or function if that can be imported, else ``<module.name>``."""
    if not callable(given):
        raise SpecError(
            where, expected="a text, a class, or a function of an environment", found=shown(given),
            remedy="Give, for instance, gymnasium.wrappers.FlattenObservation.",
        )
    module, name = getattr(given, "__module__", None), getattr(given, "__qualname__", None)
    if module and name and module != "__main__":
        try:
            found: Any = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError):
            found = None
        if found is given:
            return f"{module}:{name}"
    return f"{UNNAMED}{_path_of(given if name else type(given))}>"


def _path_of(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
