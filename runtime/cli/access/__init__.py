"""Commands about who may do what, and who did: tokens, logins, the gate, the audit log."""
