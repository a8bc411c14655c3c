"""Report text: plain characters, sections, sentences, ages.

Everything here that takes a report returns positions in the text it was given, runs in linear time, and takes any text
without raising: a policy model's output is hostile input.
"""
