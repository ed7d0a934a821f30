"""What was kept for its time goes: bytes, events, rows, and what no job names any more."""
