"""What the scenarios of web/ share."""
