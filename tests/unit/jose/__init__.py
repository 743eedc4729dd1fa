"""Tests of `extauthz/jose/`."""
