"""Measurements: golden files, the NumPy reference, evaluation, benchmarks, studies, predictions and reports."""
