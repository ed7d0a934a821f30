"""What a judge and who asks it send each other around the JSON: lengths, and how a fork ended."""

import struct

LENGTH = struct.Struct(">I")
STATUS = struct.Struct(">iQQ")
"""How the fork ended (wait4(2)), its CPU time in microseconds, its peak in KiB."""
