"""Servers that extauthz is compared with, each doing the same check."""
