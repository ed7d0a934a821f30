"""Decides what each wall of a cell is on this host: pure but for the looking, and opens none."""
