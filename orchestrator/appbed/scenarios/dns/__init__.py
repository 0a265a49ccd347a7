"""Scenarios of the Domain Name System (2.4)."""
