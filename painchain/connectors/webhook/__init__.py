"""The Webhook connector: whatever can post JSON. A preset, or the connector itself, says how to read it."""
