"""Notification rules, and the delivery of messages."""
