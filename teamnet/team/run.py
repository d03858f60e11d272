"""A unit's environment steps on the board, in one compiled call that holds no lock and runs no Python."""

from __future__ import annotations

from teamnet.board.words import publish, store_release, wait
from teamnet.kernels.compile import kernel
from teamnet.kernels.constants import BROKEN, READY
from teamnet.units import step
from teamnet.units.records import units_at


@kernel
def run(address: int, steps: int) -> int:
    """Run up to ``steps`` environment steps of the unit whose record is at ``address``.

    Returns:
        ``READY`` after ``steps`` steps, else why the unit stopped: ``ENDED``, ``ABORTED`` or ``BROKEN``.
    """
    unit = units_at(address, 1)[0]
    control, peers, settle_steps = unit.control, unit.peers, unit.settle_steps
    for _ in range(steps):
        now = unit.step + 1
        complete = unit.step * (settle_steps + 1)
        status = wait(unit.below_word, now if unit.first_layer else complete + 1, control, unit.step, -1)
        if status != READY:
            return status
        step.act(unit)
        if unit.value != 0:
            step.publish_value(unit)
        publish(unit.activation_word, complete + 1, peers)
        if not unit.first_layer:
            publish(unit.error_word, complete + 1, peers)
        if not unit.single_step:
            status = wait(unit.delta_word, now, control, -1, -1)
            if status != READY:
                return status
            if unit.step > 0:
                step.learn(unit)
        for settled in range(1, settle_steps + 1):
            if not unit.last_layer:
                status = wait(unit.above_word, complete + settled, control, -1, -1)
                if status != READY:
                    return status
                step.settle(unit)
                publish(unit.activation_word, complete + settled + 1, peers)
            if not unit.first_layer:
                status = wait(unit.below_word, complete + settled + 1, control, -1, -1)
                if status != READY:
                    return status
            step.refresh(unit)
            if not unit.first_layer:
                publish(unit.error_word, complete + settled + 1, peers)
        if unit.value != 0:
            step.publish_gate(unit)
            publish(unit.gate_word, now, peers)
        if not unit.last_layer:
            status = wait(unit.above_word, complete + settle_steps + 1, control, -1, -1)
        if status == READY and unit.gated:
            status = wait(unit.gate_word, now, control, -1, -1)
        if status == READY and unit.single_step:
            status = wait(unit.delta_word, now, control, -1, -1)
        if status != READY:
            return status
        if unit.single_step:
            step.learn_at_once(unit)
        else:
            step.trace(unit)
        if not step.finish(unit):
            store_release(control, 1)
            return BROKEN
    return READY
