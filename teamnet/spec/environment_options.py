"""Options of an environment as texts: its arguments, ``NAME=VALUE``, and its wrappers, ``module:Class(NAME=VALUE)``."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from teamnet.errors import SpecError, shown

ENVIRONMENT_OPTIONS = (
    "env_kwargs", "wrappers", "max_episode_steps", "observation_scale", "normalise_observations", "normalise_rewards",
    "mask_actions",
)
"""The fields of a spec that a task of one step has not."""
UNNAMED = "<"
"""Begins the text of what Python code has given and no text can name, such as ``<__main__.GridWorld>``."""


@dataclass(frozen=True)
class Call:
    """Something that can be imported, and the arguments with which it is called.

    Args:
        reference: ``module:Class``, or ``FILE.py:Class``.
        arguments: by name.
    """

    reference: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def as_text(self) -> str:
        """What :func:`call_of` reads.

        Raises:
            ValueError: an argument is no Python literal.
        """
        if not self.arguments:
            return self.reference
        return f"{self.reference}({', '.join(f'{name}={_literal(value)}' for name, value in self.arguments.items())})"


def call_of(where: str, text: str) -> Call:
    """What a text names.

    Args:
        where: the field of the spec, for messages.
        text: ``module:Class``, or ``module:Class(NAME=VALUE, ...)`` where each value is a Python literal.

    Raises:
        SpecError: it is neither.
    """
    if text.startswith(UNNAMED):
        return Call(text)
    reference, bracket, _ = text.partition("(")
    module, _, name = reference.rpartition(":")
    try:
        if not (module and name):
            raise ValueError("no module:Class")
        call = ast.parse(f"call({text[len(reference) + 1:]}" if bracket else "call()", mode="eval").body
        if not isinstance(call, ast.Call) or call.args or any(keyword.arg is None for keyword in call.keywords):
            raise ValueError("not of the form NAME=VALUE")
        return Call(reference, {str(each.arg): ast.literal_eval(each.value) for each in call.keywords})
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise SpecError(
            where, expected="module:Class or module:Class(NAME=VALUE, ...), where each value is a Python literal",
            found=f"{shown(text)}: {getattr(error, 'msg', None) or error}",
            remedy="Give arguments by name: module:Class(size=4, name='a').",
        ) from None


def arguments_of(texts: Sequence[str]) -> dict[str, Any]:
    """The arguments of an environment by name.

    Args:
        texts: ``NAME=VALUE``; a value that is no Python literal is a string.

    Raises:
        SpecError: one has another form, or a name occurs twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier() or name in found:
            raise SpecError(
                "env_kwargs", expected="NAME=VALUE, each name once", found=shown(text),
                remedy="Write, for instance, is_slippery=False map_name=8x8.",
            )
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found[name] = value
    return found


def texts_of(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """What :func:`arguments_of` reads.

    Raises:
        ValueError: an argument is no Python literal.
    """
    return tuple(f"{name}={_literal(value)}" for name, value in arguments.items())


def _literal(value: Any) -> str:
    """A value as a Python literal that is equal to it."""
    text = repr(value)
    try:
        same = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        same = None
    if type(same) is not type(value) or same != value:
        raise ValueError(f"{shown(value)} is no Python literal")
    return text
