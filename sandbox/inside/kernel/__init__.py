"""The system calls that the runner makes, and what the kernel tells it; knows no walls, no runs."""
