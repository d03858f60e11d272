"""Scaling experiments: speed-up measured and predicted, and the point beyond which communication outweighs it."""
