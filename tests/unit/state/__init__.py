"""Tests of `extauthz/state/`."""
