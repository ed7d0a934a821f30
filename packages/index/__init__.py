"""The package index behind the gate, one bounded address at a time; never where it may not lead."""
