"""The frozen values that the rest of the runtime hands around, and pure decisions about them.

They know no database, no file and no clock.
"""
