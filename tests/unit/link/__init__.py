"""Tests of `extauthz/link/`."""
