"""Jobs in the store: accepted, given turns, claimed, ended, counted and listed."""
