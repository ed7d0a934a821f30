"""Knows wheels: the content-addressed store, its index, what a wheel contains, the mirror.

It must never install anything nor run code out of a wheel; it imports no other room.
"""
