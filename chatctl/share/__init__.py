"""Peers that swap files directly; the server only introduces them."""
