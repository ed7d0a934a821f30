"""Bytes by their digest: bundles' inputs and outputs, immutable, in a folder or an object store.

Nothing here may know what the bytes mean or who may read them.
"""
