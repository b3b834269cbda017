"""Background threads: polling, watches, notifications and the daily integrity check."""
