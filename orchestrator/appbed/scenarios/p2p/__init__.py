"""Scenarios of peer-to-peer file distribution (2.5)."""
