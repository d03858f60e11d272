"""``teamnet paper``: the paper's tasks and rules over many seeds, compared with the published numbers."""
