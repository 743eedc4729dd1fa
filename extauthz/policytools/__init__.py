"""Tools for people who write policy: test, explain, diff, replay. They judge by the path that serves, never by another.

Only the command line uses them, and nothing here reads a clock: instants come from files and arguments.
"""
