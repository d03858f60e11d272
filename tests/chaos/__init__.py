"""Faults that are injected on purpose: what is lost comes back, bit for bit."""
