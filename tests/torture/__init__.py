"""The torture: fault injection into a real daemon and real clients, which are killed and cut off.

`python -m tests.torture` says whether every promise about acknowledged messages held. A supervisor
runs the daemon and the clients as programs of their own, with a proxy between them that breaks
connections in the middle of a line. Each client keeps a journal, and the checker reads all of them
at the end.
"""
