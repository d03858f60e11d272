"""Sweeps: ranges of a spec's values, trials of them, and which values matter."""
