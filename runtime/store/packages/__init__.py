"""Packages, their versions and activations."""
