"""The timestamp exchange: pacing, recording, report, plot."""
