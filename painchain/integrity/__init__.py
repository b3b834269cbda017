"""Is the log as it was written, and complete? Verification, checkpoints and drift."""
