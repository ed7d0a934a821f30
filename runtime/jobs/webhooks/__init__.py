"""Ends of jobs, told to whoever asked for it."""
