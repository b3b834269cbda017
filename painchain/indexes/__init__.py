"""Data derived from events for searching and counting: search terms, bitmaps and rollups."""
