"""The data folder (home): its folders and owner, its socket, what commands do there directly."""
