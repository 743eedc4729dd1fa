"""Measurements: extauthz beside honest references.

`make bench` runs them; docs/performance.md says how to read them.
"""
