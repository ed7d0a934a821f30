"""One attempt at a job, from its claim to what is published of it, and who may stop it."""
