"""Event exports: CSV, JSON lines and OCSF."""
