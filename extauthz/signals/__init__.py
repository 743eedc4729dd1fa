"""Security events from outside (Shared Signals 1.0, CAEP 1.0, RISC 1.0): from a signed token to what it takes away.

Pure: keys and instants are arguments. An event narrows; it widens only by undoing what its own stream narrowed.
"""
