"""The control client: a Python API and the commands built on it."""
