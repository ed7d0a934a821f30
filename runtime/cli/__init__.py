"""The command line: it speaks to the appliance over HTTP, and decides nothing.

What needs no server (check a bundle, show settings and schemas) runs here and now.
"""
