"""The doors: pages, fragments and the JSON API."""
