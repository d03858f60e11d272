"""Memory between pages that nobody may touch: a kernel that reads or writes beyond an array ends its process.

An array lies at the end of its pages (``side`` is ``after``) or at their beginning (``before``), so that the very next
byte on that side is out of bounds. Of a board every slot and every counter is such an array.
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

from teamnet.board import board, link
from teamnet.kernels.constants import LINE
from teamnet.kernels.native import native
from teamnet.team import board_exchange, call_exchange, free_exchange, local, node, worker
from teamnet.training import coordinator, task
from teamnet.units import unit

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
    """Boards of which every slot is guarded, and what stands for their segments."""

    def __init__(self, side: str) -> None:
        self._side = side
        self._ranges: dict[int, list[Range]] = {}
        self._segments: dict[Path, np.ndarray] = {}
        self._lay_out = board._lay_out

    def lay_out(self, teams: Sequence[board.Team]) -> tuple[dict[tuple[object, ...], int], int]:
        """Each slot in pages of its own, with one between two that nobody may touch."""
        numbers, offsets, ranges, at = board._numbers(teams), {}, [], mmap.PAGESIZE
        for name in self._lay_out(teams)[0]:
            size = 8 * numbers[name] if name in numbers else LINE
            held = _whole_pages(size)
            offsets[name] = at + (held - size if self._side == "after" else 0)
            ranges.append((at, held))
            at += held + mmap.PAGESIZE
        assert self._ranges.setdefault(at, ranges) == ranges, "one kind of board in a case"
        return offsets, at

    def memory(self, size: int) -> np.ndarray:
        return np.asarray(_Pages(size, self._ranges[size], (0, size)))

    def create_segment(self, size: int) -> int:
        handle = os.open(os.devnull, os.O_RDWR)
        self._segments[self.path_of(handle)] = self.memory(size)
        return handle

    def path_of(self, handle: int) -> Path:
        return Path(f"guarded-{handle}")

    def map_segment(self, path: Path) -> np.ndarray:
        return self._segments[path]


def guard_everything(patch: pytest.MonkeyPatch, side: str) -> set[str]:
    """From now on all that kernels are given is guarded, noise lasts for a few steps, and every other one is timed.

    Returns:
        The kernels that have been called; it grows.
    """
    numpy, boards, called = _Numpy(side), _Boards(side), set[str]()

    @cache
    def load(module: str, name: str) -> Callable[..., int]:
        kernel = native(module, name)

        def call(*values: float) -> int:
            called.add(f"{module}.{name}")
            return kernel(*values)

        return call

    for module in (unit, link, local, node, board_exchange, free_exchange, coordinator, task):
        patch.setattr(module, "np", numpy)
    for module in (local, call_exchange, board_exchange, free_exchange, node, worker, coordinator):
        patch.setattr(module, "native", load)
    patch.setattr(board, "_lay_out", boards.lay_out)
    for module in (local, call_exchange):
        patch.setattr(module, "private_memory", boards.memory)
    for name in ("create_segment", "path_of", "map_segment"):
        patch.setattr(node, name, getattr(boards, name))
    patch.setattr(worker, "map_segment", boards.map_segment)
    for module in (local, board_exchange):
        patch.setattr(module, "noise_steps", lambda _: NOISE_STEPS)
    patch.setattr(call_exchange, "_NOISE_STEPS", NOISE_STEPS)
    patch.setattr(unit, "TIMED_EVERY", 2)
    return called
