"""Code that doctor runs in a cell; see probe.py. The appliance itself imports none of it."""
