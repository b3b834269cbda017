"""The append-only, hash-chained event log: writing, reading, and what retention left of it."""
