"""Code that runs behind the walls: standard library only, CPython 3.9 and later.

It must never be imported by the appliance itself, and nothing outside may trust what it
says: package code lives in the same process.
"""
