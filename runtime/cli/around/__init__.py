"""Commands around jobs: lists, bulk, batches, presets, retention, webhooks, answers."""
