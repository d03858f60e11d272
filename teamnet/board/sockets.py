"""Sending and receiving in machine instructions: the C library's ``send`` and ``recv``."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from teamnet.kernels.compile import Kernel, MachineCode, kernel, machine_code

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_NO_SIGNAL = 0x4000  # a lost peer is a result, not a signal that ends the process


def _transfer(name: str, flags: int) -> Any:
    @machine_code("int64(int64, int64, int64)")
    def transfer(builder: Any, socket: Any, address: Any, size: Any) -> Any:
        """Move up to ``size`` bytes; returns how many, 0 if the other end has closed, -1 if it failed."""
        arguments = [builder.llvm.trunc(socket, _I32), address, size, _I32(flags)]
        return builder.call(name, _I64, [_I32, _I64, _I64, _I32], arguments)

    return transfer


def _whole(transfer: MachineCode) -> Kernel:
    @kernel
    def whole(socket, at, size):
        """Move all ``size`` bytes; returns whether all of them were moved."""
        while size > 0:
            moved = transfer(socket, at, size)
            if moved <= 0:
                return False
            at, size = at + moved, size - moved
        return True

    return whole


send, receive = _transfer("send", _NO_SIGNAL), _transfer("recv", 0)
send_all, receive_all = _whole(send), _whole(receive)
