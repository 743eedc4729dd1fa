"""Tests of `extauthz/keeper/`."""
