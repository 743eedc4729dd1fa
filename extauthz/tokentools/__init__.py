"""Tools for people who wonder about a token: the code that serves judges it, and each of its steps is told."""
