"""What is around a job: batches, bulk operations, questions, retention, webhooks."""
