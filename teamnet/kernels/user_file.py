"""User files with rules or hidden functions: their text is sent along with what they define."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import linecache
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from teamnet.errors import SpecError, shown

_PREFIX = "teamnet_user_"
_SHOWN = 300


@dataclass(frozen=True)
class Source:
    """A user's file. Two with the same text are equal, wherever they were read.

    Args:
        text: of the file.
        path: where it was read, for messages; other nodes need not have it.
    """

    text: str
    path: str = field(compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def module(self) -> str:
        """The name under which it is imported: a different text is a different module."""
        return f"{_PREFIX}{self.digest[:16]}"

    def load(self) -> ModuleType:
        """The module, executed once in a process.

        Raises:
            SpecError: it cannot be compiled or executed; with the line.
        """
        if self.module in sys.modules:
            return sys.modules[self.module]
        module = ModuleType(self.module)
        module.__file__ = self.path
        module.__dict__[_SOURCE] = self
        linecache.cache[self.path] = (len(self.text), None, self.text.splitlines(keepends=True), self.path)
        sys.modules[self.module] = module
        try:
            exec(compile(self.text, self.path, "exec"), module.__dict__)
        except BaseException as error:
            del sys.modules[self.module]
            if isinstance(error, Exception):
                raise _failed(self.path, error) from None
            raise
        return module


_SOURCE = "__teamnet_source__"
_MODULE = "Start in the folder of the module, install its package, or give the path of its file."
_PATH = "Give its path; one that a run has recorded is relative to the folder in which it was started."


def file_of(where: str, reference: str) -> str:
    """The path of a file that is given as such, or as a module that can be imported; that is not executed.

    Args:
        where: the field that has it, for messages.
        reference: ``FILE.py:NAME`` or ``module:NAME``.

    Raises:
        SpecError: there is no such module.
    """
    place = reference.rpartition(":")[0]
    if place.endswith(".py"):
        return place
    try:
        found = importlib.util.find_spec(place)
    except (ImportError, ValueError, AttributeError):  # of a package that cannot be imported, or no name of a module
        found = None
    if found is None or not (found.origin or "").endswith(".py"):
        raise SpecError(
            where, expected="FILE.py:NAME, or module:NAME of a module in a file", found=shown(reference),
            remedy=_MODULE,
        )
    return str(found.origin)


def read_source(path: str, where: str, kept: str | None = None, name: str = "") -> Source:
    """A file as it is now, or as stored with a run.

    Args:
        path: of the file.
        where: the field of the spec that names it, for messages.
        kept: its text, if it is stored with the run.
        name: by which the run knows it; the path if left out.

    Raises:
        SpecError: it cannot be read.
    """
    if kept is not None:
        return Source(kept, name or path)
    try:
        return Source(Path(path).read_text(), name or path)
    except (OSError, ValueError) as error:
        found = str(error)[:_SHOWN]
        raise SpecError(where, expected="a file that can be read", found=found, remedy=_PATH) from None


def source_of(kind: type) -> Source | None:
    """The file of a class; ``None`` if it is of this package, or in no file."""
    module = sys.modules.get(kind.__module__)
    if module is None or kind.__module__.startswith("teamnet."):
        return None
    if known := vars(module).get(_SOURCE):
        return known
    path = getattr(module, "__file__", None)
    try:
        return Source(Path(path).read_text(), path) if path else None
    except (OSError, ValueError):
        return None


def found_class(source: Source | None, module: str, name: str) -> Any:
    """The class of a rule in a process that may lack its file, or have a different file of this name.

    Args:
        source: the file that the class is from; ``None`` for one that every process has.
        module, name: of the class.
    """
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        if source is None or source_of(found) == source:
            return found
    except (ImportError, AttributeError):
        if source is None:
            raise
    return getattr(source.load(), name)


def imported(where: str, reference: str) -> Any:
    """What a text names.

    Args:
        where: the field that has the text, for messages.
        reference: ``module:name``, or ``FILE.py:name``.

    Raises:
        SpecError: the module cannot be imported, or has nothing of this name that can be called.
    """
    place, _, name = reference.rpartition(":")
    try:
        found: Any = sys.modules.get(place) or (
            read_source(place, where).load() if place.endswith(".py") else importlib.import_module(place)
        )
        for part in name.split("."):
            found = getattr(found, part)
    except SpecError:
        raise
    except Exception as error:  # what a module raises that is imported can be anything
        raise SpecError(
            where, expected="a class or function, as module:name or FILE.py:name",
            found=f"{reference}, with {type(error).__name__}: {str(error)[:_SHOWN]}",
            remedy=_MODULE,
        ) from None
    if not callable(found):
        raise SpecError(
            where, expected="a class or function, as module:name or FILE.py:name",
            found=f"{reference}, an object of {type(found).__name__}",
            remedy="Name its class, or write a function that returns it.",
        )
    return found


def line_of(path: str, error: BaseException) -> int:
    """The last line of a file in an exception's traceback; 0 if there is none."""
    if isinstance(error, SyntaxError):
        return error.lineno or 0
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] if lines else 0


def _failed(path: str, error: Exception) -> SpecError:
    return SpecError(
        f"{path}:{line_of(path, error)}", expected="a file that Python can execute",
        found=f"{type(error).__name__}: {getattr(error, 'msg', None) or error}", remedy="Correct the line.",
    )
