"""Tests of `extauthz/client/`."""
