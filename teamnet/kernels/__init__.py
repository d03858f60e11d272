"""Compiled arithmetic and the learning rule: plain functions of arrays that know of no actor and no board."""
