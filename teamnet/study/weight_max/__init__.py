"""``teamnet paper --of weight-max``: weight maximisation, compared with its published numbers."""
