"""Which job runs when, in the store: pauses, keys, schedules, dead letters, what waits and why."""
