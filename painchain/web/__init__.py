"""Web pages, htmx fragments, the JSON API and webhooks."""
