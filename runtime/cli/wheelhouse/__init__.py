"""`fumehood wheelhouse`: its commands, which work on the wheelhouse of this home."""
