"""Who may do what, and what was done: tokens, sessions, the audit log, the gate."""
