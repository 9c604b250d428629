"""Sharing files between peers: group membership, the peer protocol, storage and planning."""
