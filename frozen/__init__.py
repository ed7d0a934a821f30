"""How a value is written, in every room.

It must never know what a value is for: it imports no room.
"""
