"""Memory between pages that nobody may touch: a kernel that reads or writes beyond an array ends its process.

An array lies at the end of its pages (``side`` is ``after``) or at their beginning (``before``), so that the very next
byte on that side is out of bounds. The records of units, their step tables, their private arrays and their noise are
such arrays, and of a board every slot, every counter and the control line.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from teamnet.board import addresses, board, link
from teamnet.dataflow.graph import Dataflow
from teamnet.dataflow.slots import Key, Step
from teamnet.kernels.compile import Kernel
from teamnet.kernels.constants import LINE
from teamnet.kernels.native import native
from teamnet.team import board_executor, call_executor, free_executor, local, node, worker
from teamnet.training import coordinator, task
from teamnet.units import arrays, unit
from teamnet.units.addresses import Addresses

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_NO_ACCESS, _PRIVATE = 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
_MAKERS = {
    "array", "ascontiguousarray", "arange", "concatenate", "empty", "empty_like", "full", "ones", "repeat", "zeros",
    "zeros_like",
}
NOISE_STEPS = 3

Range = tuple[int, int]
"""Offset and size of what may be touched."""


class _Pages:
    """Memory of which only some ranges may be touched, as bytes that NumPy can take up."""

    def __init__(self, size: int, ranges: Sequence[Range], view: Range) -> None:
        self._size = size
        self._start = _LIBC.mmap(None, size, _NO_ACCESS, _PRIVATE, -1, 0)
        for offset, length in ranges:
            if length and _LIBC.mprotect(self._start + offset, length, mmap.PROT_READ | mmap.PROT_WRITE):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.__array_interface__ = {
            "data": (self._start + view[0], False), "shape": (view[1],), "typestr": "|u1", "version": 3,
        }

    def __del__(self) -> None:
        _LIBC.munmap(self._start, self._size)


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


def guarded(array: np.ndarray, side: str) -> np.ndarray:
    """A copy of an array between pages that nobody may touch."""
    held = _whole_pages(array.nbytes)
    start = mmap.PAGESIZE + (held - array.nbytes if side == "after" else 0)
    pages = _Pages(held + 2 * mmap.PAGESIZE, [(mmap.PAGESIZE, held)], (start, array.nbytes))
    copy = np.asarray(pages).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class _Numpy:
    """NumPy, but new arrays are guarded."""

    def __init__(self, side: str) -> None:
        self._side = side

    def __getattr__(self, name: str) -> Any:
        its = getattr(np, name)
        return (lambda *args, **options: guarded(its(*args, **options), self._side)) if name in _MAKERS else its


class _Boards:
    """Boards of which every slot is guarded, and what stands for their segments.

    A board begins with its control line, which therefore lies in the second page; the bell comes next.
    """

    def __init__(self, side: str) -> None:
        self._side = side
        self._start, self._first = self._place(mmap.PAGESIZE, LINE)
        bell, self._second = self._place(self._first[0] + self._first[1] + mmap.PAGESIZE, LINE)
        self.doorbell = bell - self._start
        self._ranges: dict[int, list[Range]] = {}
        self._segments: dict[Path, np.ndarray] = {}
        self._lay_out = board._lay_out

    def _place(self, at: int, size: int) -> tuple[int, Range]:
        """Where something of a size lies in pages of its own that begin at a page, and what may be touched for it."""
        held = _whole_pages(size)
        return at + (held - size if self._side == "after" else 0), (at, held)

    def lay_out(self, flow: Dataflow) -> tuple[dict[Key, board._Place], int]:
        """Each slot and counter in pages of its own, with one between two that nobody may touch."""
        places, ranges = {}, [self._first, self._second]

        def put(size: int) -> int:
            offset, its = self._place(sum(ranges[-1]) + mmap.PAGESIZE, size)
            ranges.append(its)
            return offset - self._start

        for key, (_, counter, part) in self._lay_out(flow)[0].items():
            slot = put(board.slot_bytes(flow.slots[key]))
            places[key] = board._Place(slot, counter and put(LINE), part and put(LINE))
        end = sum(ranges[-1]) - self._start
        assert self._ranges.setdefault(end, ranges) == ranges, "one kind of board in a case"
        return places, end

    def memory(self, size: int) -> np.ndarray:
        return np.asarray(_Pages(self._start + size + mmap.PAGESIZE, self._ranges[size], (self._start, size)))

    def create_segment(self, size: int) -> int:
        handle = os.open(os.devnull, os.O_RDWR)
        self._segments[self.path_of(handle)] = self.memory(size)
        return handle

    def path_of(self, handle: int) -> Path:
        return Path(f"guarded-{handle}")

    def map_segment(self, path: Path) -> np.ndarray:
        return self._segments[path]


def name_of(operation: Kernel) -> str:
    """An operation by where it is defined: rules that are derived from one another share some."""
    return f"{operation.function.__module__}.{operation.function.__qualname__}"


def guard_everything(patch: pytest.MonkeyPatch, side: str) -> set[str]:
    """From now on all that kernels are given is guarded, noise lasts for a few steps, and every other one is timed.

    Returns:
        The kernels that have been called, and the rules, the operations and the hidden functions of units; it grows.
    """
    numpy, boards, called = _Numpy(side), _Boards(side), set[str]()

    @cache
    def load(module: str, name: str) -> Callable[..., int]:
        kernel = native(module, name)

        def call(*values: float) -> int:
            called.add(f"{module}.{name}")
            return kernel(*values)

        return call

    attach = unit.Unit.attach

    def attach_and_note(self: unit.Unit, given: Addresses, steps: tuple[Step, ...]) -> None:
        attach(self, given, steps)
        rule = self.spec.layer.rule
        operations = rule.operations()
        called.update(name_of(operations[step.operation]) for step in steps)
        called.update((f"rule.{type(rule).__name__}", f"function.{self.spec.layer.function}"))

    patch.setattr(unit.Unit, "attach", attach_and_note)
    for module in (addresses, arrays, unit, link, local, node, board_executor, free_executor, coordinator, task):
        patch.setattr(module, "np", numpy)
    for module in (local, call_executor, board_executor, free_executor, node, worker, coordinator):
        patch.setattr(module, "native", load)
    patch.setattr(arrays, "_in_a_row", lambda shapes: {its: numpy.zeros(shape) for its, shape in shapes.items()})
    patch.setattr(board, "_lay_out", boards.lay_out)
    patch.setattr(board, "_DOORBELL", boards.doorbell)
    for module in (local, call_executor):
        patch.setattr(module, "private_memory", boards.memory)
    for name in ("create_segment", "path_of", "map_segment"):
        patch.setattr(node, name, getattr(boards, name))
    patch.setattr(worker, "map_segment", boards.map_segment)
    for module in (local, board_executor):
        patch.setattr(module, "noise_steps", lambda _: NOISE_STEPS)
    patch.setattr(call_executor, "_NOISE_STEPS", NOISE_STEPS)
    patch.setattr(unit, "TIMED_EVERY", 2)
    return called
