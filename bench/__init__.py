"""Measurements of real servers over real sockets: `python -m bench`."""
