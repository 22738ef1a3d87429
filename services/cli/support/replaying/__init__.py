"""Inputs for the comparisons of a replay, and its output."""
