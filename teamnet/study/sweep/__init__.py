"""Sweeps: ranges of a spec's values, trials of them, and what they say about which value matters."""
