"""Judges' protocols, one file each: the prompt's name, what the prompt shows, the form of the reply, and the score."""
