"""The HTTP door, /v1: it translates requests into calls of the runtime, and decides nothing."""
