"""What rules can require, one file each; `registry.py` is the closed table of them."""
