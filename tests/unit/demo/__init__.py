"""Tests of `extauthz/demo/`."""
