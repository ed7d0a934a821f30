"""The HTTP server: connections with bounds, request bodies, faults as answers.

Below it are the API (`api`) and the pages for people (`pages`).
"""
