"""Steps of free-running units, which have no common tick: steps by name, which each unit runs at its own pace."""

from __future__ import annotations

OBSERVE, FIND_ERROR, SEND, LEARN, ACT, ACT_LAST, SETTLE, LOOK, SHOW_GATE, NOTE, ACCUMULATE = range(11)
FREE_STEPS = (
    "observe", "find_error", "send", "learn", "act", "act_last", "settle", "look", "show_gate", "note", "accumulate",
)
"""Their names, in the order of their numbers.

``observe`` reads a new observation. ``find_error`` and ``send`` follow every step that changes the activation or the
mean: ``act`` and, as the last step of a unit's acting, ``act_last``, ``settle``, ``look``. ``learn`` follows the TD
error, ``note`` stores the terms of a trace, and ``accumulate`` computes it.
"""
