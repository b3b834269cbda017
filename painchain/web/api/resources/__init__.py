"""What the API answers: Pydantic models that serialise it and describe it in the OpenAPI document."""
