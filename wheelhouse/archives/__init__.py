"""Archives of others: which names they may have, read so that every reader sees the same."""
