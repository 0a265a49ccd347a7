"""What the scenarios of peer-to-peer file distribution share."""
