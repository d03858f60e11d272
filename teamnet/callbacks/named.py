"""Callbacks by their names, as the command line gives them."""

from __future__ import annotations

from collections.abc import Sequence

import teamnet.callbacks
from teamnet.errors import SpecError, TeamnetError, nearest
from teamnet.kernels.user_file import imported
from teamnet.spec.environment_options import call_of
from teamnet.training.callback import Callback, Callbacks


def named_callbacks(texts: Sequence[str]) -> Callbacks:
    """The callbacks that some texts name.

    Args:
        texts: ``Class(NAME=VALUE, ...)`` of :mod:`teamnet.callbacks`, or ``module:Class(...)``, ``FILE.py:Class(...)``.

    Raises:
        SpecError: there is no such class, or it does not take these arguments.
    """
    return Callbacks([_callback(text) for text in texts])


def _callback(text: str) -> Callback:
    name = text.partition("(")[0]
    if ":" not in name:
        if name not in teamnet.callbacks.__all__:
            raise SpecError(
                "callback", expected="a class of teamnet.callbacks, or module:Class", found=repr(text),
                remedy=nearest(name, teamnet.callbacks.__all__),
            )
        text = f"{teamnet.callbacks.__name__}:{text}"
    call = call_of("callback", text)
    kind = imported("callback", call.reference)
    try:
        return kind(**call.arguments)
    except TeamnetError:
        raise
    except Exception as error:
        raise SpecError(
            "callback", expected="a class that can be made with these arguments",
            found=f"{text}, with {type(error).__name__}: {error}", remedy="Give the arguments of its constructor.",
        ) from error
