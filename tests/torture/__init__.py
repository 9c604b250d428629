"""Torture test: fault injection into a real daemon and real clients.

`python -m tests.torture` reports whether every promise about acknowledged messages held. A
supervisor runs the daemon and the clients as processes, kills and stops them, and runs a proxy
between them that cuts connections in the middle of a line. Each client keeps a journal. At the end
the checker reads all journals.
"""
