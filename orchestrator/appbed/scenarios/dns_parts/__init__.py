"""What the scenarios of the Domain Name System share."""
