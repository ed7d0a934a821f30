"""Commands about single jobs: submit, follow, list, answer, keep, and why one waits."""
