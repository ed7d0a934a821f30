"""Wraps what Linux offers, each call once, and knows no cell: processes, /proc, mounts, openat2."""
