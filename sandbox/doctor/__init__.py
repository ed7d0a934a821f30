"""Attacks every wall of this host, tells which hold, and how to get those that do not."""
