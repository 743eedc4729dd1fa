"""The record of every decision: one JSON line each, never a token or a secret."""
