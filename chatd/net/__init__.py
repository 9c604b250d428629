"""Sockets: listeners, connections, reading and batched writing."""
