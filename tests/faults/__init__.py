"""Faults: the server is killed, or its disk, database or clock fails."""
