"""What the scenarios of transport/ share."""
