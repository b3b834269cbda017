"""The responses of the API: Pydantic models that serialise them and describe them in the OpenAPI document."""
