"""The checks that this package's tests apply to its rules, for a user's rule."""
