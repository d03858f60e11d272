"""One run for each of many seeds, and what they have in common."""
