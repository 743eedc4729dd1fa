"""Tests of `extauthz/registry/`."""
