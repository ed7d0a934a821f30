"""A cgroup of its own for every run, on v1 and v2: made, entered, read, killed and removed."""
