"""Wheels: what one says of itself, for whom it is, and what it is made of in an environment."""
