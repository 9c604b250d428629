"""The daemon: one port for chat, requests, timestamps, feeds and groups that share files."""
