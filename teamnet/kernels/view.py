"""Records in memory as operations access them: numbers, arrays by their address and shape, and other records."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

_BYTES = 8


Shape = tuple[str | int, ...]


class View:
    """The layout of a record, every field of which has eight bytes.

    Called with an address it returns the record there: ``unit = UNIT(address)``, then ``unit.step`` and
    ``unit.mean[row, j]``, in compiled code and in Python alike. A record whose fields begin with those of another view
    can be accessed through that view, too.

    Args:
        name: for messages.
        fields: kinds by name: ``i`` (int64), ``f`` (float64), a shape or a view. Float64 arrays and other records
            are stored by address. An extent of a shape is a number, or the name of one of the numbers.
    """

    def __init__(self, name: str, fields: Mapping[str, str | Shape | View]) -> None:
        self.name, self._fields = name, dict(fields)
        self.scalars = {field: kind for field, kind in fields.items() if isinstance(kind, str)}
        self.arrays = {field: kind for field, kind in fields.items() if isinstance(kind, tuple)}
        self.records = {field: kind for field, kind in fields.items() if isinstance(kind, View)}
        self.places = {field: place for place, field in enumerate(fields)}
        self.compiled: Any = None

    def __repr__(self) -> str:
        return f"View({self.name!r}, {self._fields!r})"

    @property
    def dtype(self) -> np.dtype:
        """The dtype of a NumPy record with this layout."""
        return np.dtype([
            (field, np.float64 if self.scalars.get(field) == "f" else np.int64) for field in self.places
        ])

    @property
    def size(self) -> int:
        """Bytes of a record."""
        return _BYTES * len(self.places)

    def offset(self, field: str) -> int:
        """Bytes from the start of the record to a field."""
        return _BYTES * self.places[field]

    def __call__(self, address: int) -> Record:  # noqa: D102 - documented by the class
        return Record(self, address)


class Record:
    """A record at an address, in Python; arrays share the memory that compiled code works on.

    Args:
        view: the layout.
        address: of the record.
        more: attributes that only Python has.
    """

    __slots__ = ("_address", "_more", "_view")

    def __init__(self, view: View, address: int, more: Mapping[str, Any] | None = None) -> None:
        object.__setattr__(self, "_view", view)
        object.__setattr__(self, "_address", address)
        object.__setattr__(self, "_more", more or {})

    def _field(self, name: str) -> Any:
        kind = ctypes.c_double if self._view.scalars.get(name) == "f" else ctypes.c_int64
        return kind.from_address(self._address + self._view.offset(name))

    def __getattr__(self, name: str) -> Any:
        view = self._view
        if name in self._more:
            return self._more[name]
        if name not in view.places:
            raise AttributeError(f"{view.name} has no {name!r}; it has {', '.join(view.places)}")
        value = self._field(name).value
        if name in view.arrays:
            shape = (extent if isinstance(extent, int) else getattr(self, extent) for extent in view.arrays[name])
            return array_at(value, *shape)
        return view.records[name](value) if name in view.records else value

    def __setattr__(self, name: str, value: float) -> None:
        if name not in self._view.scalars:
            raise AttributeError(f"{self._view.name}.{name} cannot be replaced; change its elements: {name}[:] = ...")
        self._field(name).value = value


def array_at(address: int, *shape: int, kind: type = np.float64) -> np.ndarray:
    """The C-ordered array of a shape at an address; its items have eight bytes."""
    count = int(np.prod(shape))
    if not count:
        return np.zeros(shape, kind)
    memory: Any = (ctypes.c_char * (_BYTES * count)).from_address(address)
    return np.frombuffer(memory, kind).reshape(shape)
