"""Compiled arithmetic and the learning rule: plain functions of arrays, independent of actors and of the board."""
