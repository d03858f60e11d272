"""Scaling experiments: measured, predicted, and where communication eats the gain."""
