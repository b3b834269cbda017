"""The help pages: the documents in `docs/`, rendered in the app."""
