"""What an author uploads, read strictly: manifest, requirements, entry points; it runs nothing."""
