"""Knows bundles: archive, manifest, requirements, lock, environment, hooks, activation.

It must never run package code itself (it hands a Command to whoever can run one) nor know
of jobs, queues or HTTP.
"""
