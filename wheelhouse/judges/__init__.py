"""Judges: untrusted bytes are read in a process of its own, which can be limited and killed.

A warm judge is an interpreter that has imported what judging needs and has never seen an
upload. For each judgement it forks; the fork limits itself, reads the bytes, answers in JSON
and ends. Whoever asks must never take the answer for more than what an enemy may have said.
"""
