"""What statements share: rows to values, cursors, what somebody may see, rows that may be there."""
