"""The artifact: the audit record of one attempt. Its model, how it grows, and its file."""
