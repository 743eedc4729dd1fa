"""Tests of `extauthz/identity/`."""
