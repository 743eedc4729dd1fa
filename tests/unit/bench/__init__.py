"""The measurements' own arithmetic and files."""
