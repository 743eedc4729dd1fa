"""Tests of the reading of security events."""
