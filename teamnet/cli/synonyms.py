"""Options of other libraries on the command line."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from teamnet.errors import SpecError
from teamnet.spec.synonyms import SYNONYMS


def refuse_synonyms(arguments: Sequence[str], known: Collection[str]) -> None:
    """Refuse options that other libraries have.

    Raises:
        SpecError: naming what this one has instead.
    """
    for argument in arguments:
        name = argument.partition("=")[0].removeprefix("--").replace("-", "_")
        if argument.startswith("--") and name in SYNONYMS and name not in known:
            raise SpecError(name, expected="an option of teamnet", found=repr(argument), remedy=SYNONYMS[name])
