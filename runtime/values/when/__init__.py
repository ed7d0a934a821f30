"""Which job runs when, as pure decisions over frozen values: retries, keys, ticks, waits."""
