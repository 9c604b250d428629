"""What people would pick instead: each server with its settings and its protocol, a module each."""
