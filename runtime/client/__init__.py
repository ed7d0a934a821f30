"""The appliance over HTTP, for programs: typed, with and without asyncio.

It needs httpx2 and nothing else of this distribution, and must never import any of it.
"""
