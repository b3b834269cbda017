"""Tests of the background threads."""
