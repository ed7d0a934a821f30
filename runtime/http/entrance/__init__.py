"""Who comes in: what the appliance is called, who asks, and whether they may.

Every request passes here before any operation sees it; nothing here does what was asked.
"""
