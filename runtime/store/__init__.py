"""The truth about packages, jobs, events, the gate and the audit log, in SQL.

Each module holds plain functions `fn(connection, *, …)` of one subject; a Store runs them,
one transaction each. No function here may start work, touch a file or read the clock.
"""
