"""The API of which job runs when: schedules, pauses, the queue, workers, dead letters, waits."""
