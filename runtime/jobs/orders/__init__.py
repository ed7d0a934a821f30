"""Orders: what shall run, by which rules and quotas, alone or many at once, once more."""
