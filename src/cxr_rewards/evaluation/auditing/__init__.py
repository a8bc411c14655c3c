"""Audit of a reward before it is optimised: what it pays policies that look for holes in it."""
