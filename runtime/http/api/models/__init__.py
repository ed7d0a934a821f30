"""What is sent and what is shown, as models for OpenAPI and as plain JSON."""
