"""The network of a run that was granted one: a namespace of its own, and a relay as the way out.

What runs here never gives a cell the host's network, and never resolves or reaches for a cell
what the admin's rules do not name.
"""
