"""From what was measured to a text for people: `python -m bench.document`."""
