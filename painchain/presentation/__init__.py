"""Describe events as text, for the web and the command line."""
