"""Scenarios of principles and transport services (2.1)."""
