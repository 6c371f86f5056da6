"""Hostile candidates, and whether they get what they want: `python -m benchmarks.attacks`.

All of it runs in a throw-away repository, against canaries of our own.
"""
