"""The timestamp service: exchanges of date and time."""
