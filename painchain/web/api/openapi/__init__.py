"""Describe the JSON API (OpenAPI 3.1)."""

from painchain.web.api.openapi.document import document
from painchain.web.api.openapi.routes import ROUTES

__all__ = ["ROUTES", "document"]
