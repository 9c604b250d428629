"""The operating system: standard streams, files, clocks, timers, threads.

This is the only part of `common` that touches the operating system. Everything else in `common`
computes: it opens no file and no socket, and starts no thread.
"""
