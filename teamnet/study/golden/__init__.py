"""Golden files: the official code's values in each step, replayed by teamnet's units in any executor."""
