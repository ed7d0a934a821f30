"""Many jobs at once: found by a filter, saved as presets, gathered in batches, changed in bulk."""
