"""What an admin may set: each setting with its default, its bounds and where it comes from."""
