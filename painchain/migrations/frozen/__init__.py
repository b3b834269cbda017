"""Copies of code that migrations need, as it was when they were written: nothing here changes any more."""
