"""Commands about packages: make, check, try, upload, activate, and what they install."""
