"""``teamnet bench``: speed and memory, each compared with something that is timed in the same run."""
