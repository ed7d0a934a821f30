"""Starts cells, cold or as forks of warm ones, looks at each, and lets it go; runs nothing."""
