"""What is seen from outside: numbers, logs and traces.

It watches and never decides: without it every job runs as before. What it shows holds no secret,
and has a bound in whatever a stranger can lengthen.
"""
