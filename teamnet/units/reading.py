"""The reads of a step: publications on the board, of which several may be concatenated."""

from __future__ import annotations

from teamnet.kernels.compile import kernel
from teamnet.kernels.memory import matrix
from teamnet.units.layout import READ

_READ = READ.size


@kernel
def read_slot(unit, step, number):
    """A publication that a step reads, ``(rows, numbers)``, without copying; no rows if there is none."""
    return _publication(unit, READ(step.reads + _READ * number))


@kernel
def _publication(unit, read):
    place = (unit.step * read.rounds + read.number) & read.mask
    return matrix(read.address + place * read.stride, read.rows, read.width)


@kernel
def join_reads(unit, step):
    """Concatenate publications in the memory from which the step reads them."""
    for number in range(step.read_count):
        read = READ(step.reads + _READ * number)
        first = 0
        for place in range(read.parts, read.parts + read.part_count):
            part = _publication(unit, READ(step.reads + _READ * place))
            joined = matrix(read.address, read.rows, read.width)
            for row in range(part.shape[0]):
                for j in range(part.shape[1]):
                    joined[row, first + j] = part[row, j]
            first += part.shape[1]
