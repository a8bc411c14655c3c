"""Explanations of rewards: the data, and the page that shows it."""
