"""Records of units as compiled code sees them."""

from __future__ import annotations

from numba import from_dtype, types
from numba.np.numpy_support import carray

from teamnet.kernels.compile import kernel, machine_code
from teamnet.units.layout import PHASE, UNIT

_RECORD, _PHASE = from_dtype(UNIT), from_dtype(PHASE)


@machine_code
def _record_pointer(typing_context, address):  # numba's own protocol
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(_RECORD)(types.int64), generate


@kernel
def units_at(address, count):
    """The ``count`` records of units at an address, as an array."""
    return carray(_record_pointer(address), (count,))


@machine_code
def _phase_pointer(typing_context, address):
    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(_PHASE)(types.int64), generate


@kernel
def schedule_of(unit):
    """The phases of the unit's environment step, as an array of ``PHASE``."""
    return carray(_phase_pointer(unit.schedule), (unit.phases,))
