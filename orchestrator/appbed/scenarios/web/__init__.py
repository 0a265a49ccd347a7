"""Scenarios of the Web and HTTP (2.2)."""
