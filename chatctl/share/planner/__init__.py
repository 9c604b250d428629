"""The planner of a swarm (sans-I/O): which peer sends which piece to whom."""
