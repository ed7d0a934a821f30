"""Knows Linux and nothing of jobs: runs a Command in a Cell behind Walls, returns an Outcome.

It must never import another room, trust a byte that a cell sent, or follow a path that a
cell can write. What runs behind the walls lives in `sandbox/inside/`.
"""
