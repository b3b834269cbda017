"""What pages and the API share: authentication, responses, caching and request limits."""
