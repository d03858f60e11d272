"""What units do that run without a common tick: steps by name, which each unit does when it comes to them."""

from __future__ import annotations

OBSERVE, FIND_ERROR, SEND, LEARN, ACT, ACT_LAST, SETTLE, LOOK, SHOW_GATE, NOTE, ACCUMULATE = range(11)
FREE_STEPS = (
    "observe", "find_error", "send", "learn", "act", "act_last", "settle", "look", "show_gate", "note", "accumulate",
)
"""Their names, in the order of their numbers.

``observe`` turns to a new observation, ``find_error`` and ``send`` follow all that moves the activation or the mean:
``act`` and, as the last of a unit's acting, ``act_last``, ``settle``, ``look``. ``learn`` comes with the TD error,
``note`` keeps what a trace is made of, and ``accumulate`` makes it.
"""
