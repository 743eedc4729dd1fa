"""Tests of `extauthz/request/`."""
