"""Decisions in time, as pure functions: no I/O, no clock, no randomness but what is passed in."""
