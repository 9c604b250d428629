"""The feed service: random users and arrays."""
