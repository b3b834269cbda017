"""Events from sources: polling, watches and webhooks."""
