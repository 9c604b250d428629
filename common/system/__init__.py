"""The operating system: files, standard streams, clocks, timers, threads.

No other part of `common` reaches it.
"""
