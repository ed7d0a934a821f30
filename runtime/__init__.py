"""Knows jobs: store, queue, worker, artifact, events, gate, and the doors (HTTP API, pages, CLI).

It must never judge a bundle, build an environment or touch a wall itself: it asks the
rooms below and records what they answered.
"""
