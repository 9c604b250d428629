"""What both sides of the wire say: framing, codec, messages and rules. No sockets, no files."""
