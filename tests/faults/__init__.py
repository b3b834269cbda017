"""Faults: what becomes of a server that is killed, and of one whose disk, database or clock misbehaves."""
