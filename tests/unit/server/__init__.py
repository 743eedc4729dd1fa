"""Tests of `extauthz/server/`."""
