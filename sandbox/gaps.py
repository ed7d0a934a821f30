"""Attacks that level `unprivileged` cannot stop, by name: shown by doctor, proved by the tests."""

GAPS: dict[str, str] = {}
