"""Pages for people: rendered here, all their assets local, nothing loaded from elsewhere."""
