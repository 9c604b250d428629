"""The competitors: each server with its settings and its protocol, a module each."""
