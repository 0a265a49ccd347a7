"""Scenarios of electronic mail (2.3)."""
