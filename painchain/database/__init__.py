"""The engine, the session and the tables."""
