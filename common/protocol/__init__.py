"""The wire protocol: framing, JSON, the text format and the message registry. No I/O."""
