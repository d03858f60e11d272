"""Measurements: the golden files, the plain NumPy reference, evaluation and benchmarks."""
