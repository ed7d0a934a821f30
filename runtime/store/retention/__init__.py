"""What goes after its time: bytes, events and rows of jobs, and versions that nothing needs."""
