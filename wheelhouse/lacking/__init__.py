"""What the house lacks: found along dependencies before a lock, and kept after one that failed."""
