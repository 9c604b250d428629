"""Benchmark of shares: k peers swap k files over shaped links, beside others and the bound."""
