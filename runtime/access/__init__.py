"""Who may do what: tokens, sessions, the table of operations and scopes, the signed audit log.

It knows nothing of HTTP, and must never keep a secret in a form that can be shown again.
"""
