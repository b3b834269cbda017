"""The sample events of a small made-up company: its services, what happens to them, and three incidents."""
