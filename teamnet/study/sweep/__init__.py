"""Sweeps: ranges of a spec's values, trials of them, and the sensitivity of the score to each."""
