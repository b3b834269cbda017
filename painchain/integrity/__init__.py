"""Detect tampering with the log, and changes that it does not contain: verification, checkpoints and drift."""
