"""``teamnet compare``: two sets of runs, grids, scaling experiments or benchmarks side by side."""
