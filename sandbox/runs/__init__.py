"""Watches one run in a cell, and makes an Outcome of it; believes nothing that a cell says."""
