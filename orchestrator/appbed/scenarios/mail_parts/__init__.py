"""What the scenarios of electronic mail share."""
