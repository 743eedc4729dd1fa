"""Tests of `extauthz/tokentools/`."""
