"""Commands about many jobs: batches, bulk, presets, the queue, schedules, retention, webhooks."""
