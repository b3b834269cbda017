"""Turn GitHub's payloads into events, with the same ids for polls and webhooks. Pure functions."""
