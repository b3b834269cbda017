"""The HTTP server: waitress with limits and an event loop of our own."""
