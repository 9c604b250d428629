"""The wire protocol: framing, JSON and text formats, the registry of messages. No I/O."""
