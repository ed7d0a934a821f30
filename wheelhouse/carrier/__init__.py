"""Wheels across an air gap: one signed archive out, checked whole on the way in."""
