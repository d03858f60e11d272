"""Sending and receiving in machine instructions: the C library's ``send`` and ``recv``."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from teamnet.kernels.compile import machine_code

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_NO_SIGNAL = 0x4000  # a lost peer is a result, not a signal that ends the process


def _transfer(name: str, flags: int) -> Any:
    @machine_code
    def transfer(typing_context, socket, address, size):
        """Move up to ``size`` bytes; returns how many, 0 if the other end has closed, -1 if it failed."""

        def generate(context, builder, signature, arguments):
            kind = ir.FunctionType(_I64, [_I32, _I64, _I64, _I32])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            socket, address, size = arguments
            return builder.call(function, [builder.trunc(socket, _I32), address, size, _I32(flags)])

        return types.int64(types.int64, types.int64, types.int64), generate

    return transfer


send, receive = _transfer("send", _NO_SIGNAL), _transfer("recv", 0)
