"""The cost of locality: measured over a grid of configurations, and traced in a single step."""
