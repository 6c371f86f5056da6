"""p2assist: a team's own code completion for Python that has already run the tests.

Importing the package is free: no torch, no I/O, no logging set-up.
"""

__version__ = "0.1.0"
