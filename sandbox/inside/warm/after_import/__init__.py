"""What an import leaves behind: what its forks share, and what each of them has anew.

It must never make two runs share what one of them could change.
"""
