"""What can go wrong here, by kind and code, and what of the outside is away or full."""
