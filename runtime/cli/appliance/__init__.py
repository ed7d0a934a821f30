"""Commands about the appliance itself: serve, work, look, examine, settings, schemas."""
