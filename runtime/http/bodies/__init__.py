"""Bodies of requests: bounded, read as streams, spooled into files where they are judged."""
