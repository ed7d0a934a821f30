"""Known vulnerabilities, from a snapshot that an admin imports."""
