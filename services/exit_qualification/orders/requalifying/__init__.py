"""Exits that are not sent yet, judged again with current facts."""
