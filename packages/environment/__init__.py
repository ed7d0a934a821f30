"""From a lock to a sealed folder: linked, compiled, listed, verified, collected; then read-only."""
