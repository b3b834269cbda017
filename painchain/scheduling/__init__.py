"""Database leases and the clock they go by."""
