"""What of a version is run: hooks, the entry point, its import; and what its author is told of it.

It must never start a process: something that can run a Command is handed to it.
"""
