"""What must last: the log port and the places that keep it."""
