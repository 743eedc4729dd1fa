"""Tests of the processes of a server, part by part."""
