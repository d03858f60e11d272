"""``teamnet paper``: the paper's tasks and rules over many seeds, beside the published numbers."""
