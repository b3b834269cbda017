"""Backup, key rotation and demo data."""
