"""A warm cell from within: its warden, the process that is held after its import, and its forks.

Only the warden's own modules decide anything: what runs in the held process or a fork of it shares
an interpreter with package code, and nobody believes it.
"""
