"""The HTTP door, /v1: it translates requests into stories of the runtime, and decides nothing."""
