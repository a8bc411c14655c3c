"""Rewards that are computed elsewhere: on a server over HTTP, or by actors of a Ray cluster."""
