"""Bundles on their way to being active: receiving one, preparing it, switching to it."""
