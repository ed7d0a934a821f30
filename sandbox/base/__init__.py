"""What a cell finds besides its own: a small /etc, programs for launchers, data of libraries."""
