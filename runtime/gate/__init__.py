"""The network gate: opening and closing it, and asking it again while an install is at work."""
