"""The `painchain` command."""
