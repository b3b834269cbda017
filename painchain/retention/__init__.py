"""Retention rules and the pruning that applies them."""
