"""From a run's spec to an environment: of Gymnasium's registry, of a module or of a file, with its wrappers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit

from teamnet.errors import EnvironmentRefused, shown
from teamnet.kernels.user_file import imported, read_source
from teamnet.spec.environment_options import UNNAMED, arguments_of, call_of
from teamnet.spec.presets import environment_id
from teamnet.spec.run import RunSpec

Maker = Callable[[str | None], gymnasium.Env[Any, Any]]
"""Makes an environment of a run with a render mode: it stands in for what the spec names."""


def made_of_spec(spec: RunSpec, render_mode: str | None = None) -> gymnasium.Env[Any, Any]:
    """The environment that a spec names, with its wrappers; it can raise anything."""
    environment = bare_environment(spec.task, arguments_of(spec.env_kwargs), spec.max_episode_steps, render_mode)
    for text in spec.wrappers:
        environment = wrapped(environment, text)
    return environment


def bare_environment(
    task: str, arguments: Mapping[str, Any], most_steps: int | None, render_mode: str | None
) -> gymnasium.Env[Any, Any]:
    """The environment of a task without the wrappers of a spec.

    Args:
        task: of a spec.
        arguments: of the environment.
        most_steps: after which an episode is truncated; ``None`` for the environment's own limit.
        render_mode: of the environment.
    """
    name = environment_id(task)
    options = {**arguments, **rendering(render_mode)}
    if creator := find_creator(name):
        return limited(checked(name, creator(**options)), most_steps)
    limit = {} if most_steps is None else {"max_episode_steps": most_steps}
    return gymnasium.make(name, disable_env_checker=True, **limit, **options)


def rendering(mode: str | None) -> dict[str, Any]:
    """The argument of an environment with a render mode; none for no mode, as some do not take it."""
    return {} if mode is None else {"render_mode": mode}


def limited(environment: gymnasium.Env[Any, Any], most_steps: int | None) -> gymnasium.Env[Any, Any]:
    """The environment with episodes of at most some steps, in place of its own limit; ``None`` leaves it as it is."""
    if most_steps is None:
        return environment
    for limit in limits_of(environment):
        limit._max_episode_steps = most_steps
    return environment if limits_of(environment) else TimeLimit(environment, most_steps)


def limits_of(environment: gymnasium.Env[Any, Any]) -> list[TimeLimit]:
    """The wrappers that truncate its episodes after some steps."""
    found = []
    while isinstance(environment, gymnasium.Wrapper):
        if isinstance(environment, TimeLimit):
            found.append(environment)
        environment = environment.env
    return found


def wrapped(environment: gymnasium.Env[Any, Any], text: str) -> gymnasium.Env[Any, Any]:
    """The environment in the wrapper that ``module:Class(NAME=VALUE, ...)`` names."""
    call = call_of("wrappers", text)
    if text.startswith(UNNAMED):
        raise _unnamed(text)
    return checked(text, imported("wrappers", call.reference)(environment, **call.arguments))


def find_creator(name: str) -> Callable[..., Any] | None:
    """The class or factory that a task names; ``None`` for a Gymnasium id.

    Args:
        name: ``module:Class``, ``FILE.py:Class``, ``FILE.py`` with one environment in it, or a Gymnasium id.

    Raises:
        EnvironmentRefused: it had no name when the run was started, or the file has no environment or several.
        SpecError: there is none.
    """
    if name.startswith(UNNAMED):
        raise _unnamed(name)
    if name.endswith(".py"):
        return _only_environment(name)
    module, _, attribute = name.rpartition(":")
    return imported("task", name) if module and re.fullmatch(r"[^\W\d][\w.]*", attribute) else None


def _unnamed(name: str) -> EnvironmentRefused:
    return EnvironmentRefused(
        name, expected="a class or function that can be imported", found="an object that Python code has given",
        remedy="Give it again, TeamAgent.load(folder, env=..., wrappers=[...]); or put its class into a module.",
    )


def _only_environment(path: str) -> Callable[..., Any]:
    """The one class of environments that a file defines."""
    module = read_source(path, "task").load()
    kinds = [
        kind for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, gymnasium.Env) and kind.__module__ == module.__name__
    ]
    if len(kinds) == 1:
        return kinds[0]
    raise EnvironmentRefused(
        "task", expected="a file with one class of environments",
        found=f"{path}, with {', '.join(kind.__name__ for kind in kinds) or 'none'}",
        remedy="Name a class: FILE.py:Class.",
    )


def checked(name: str, made: Any) -> gymnasium.Env[Any, Any]:
    """What a class or factory has made, if it is an environment.

    Raises:
        EnvironmentRefused: it is something else.
    """
    if isinstance(made, gymnasium.Env):
        return made
    raise EnvironmentRefused(
        name, expected="an object of gymnasium.Env", found=shown(made),
        remedy="Derive its class from gymnasium.Env; give a single environment and num_envs, no vector environment.",
    )
