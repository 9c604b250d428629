"""The durable message log: SQLite with group commit."""
