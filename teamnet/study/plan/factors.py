"""The factors of ``teamnet plan --best``."""

from __future__ import annotations

SAME, OTHER = ("backend", "grain", "placement", "nodes", "feedback"), ("schedule", "message_dtype", "batch")
"""Factors that change no bit of a run's result (but for the grain of ``int8`` messages), and factors that do."""
FACTORS = SAME + OTHER
