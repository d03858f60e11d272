"""What locality costs: measured over a grid of configurations, and looked at in a single step."""
