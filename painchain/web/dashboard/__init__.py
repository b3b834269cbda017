"""The timeline pages."""
