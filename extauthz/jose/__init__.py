"""JSON Object Signing (RFC 7515, 7517, 7518), the little of it that we accept. Pure: bytes in, values out.

`compact.py` takes a token apart without believing it, `algorithms.py` verifies its signature with one key for one
algorithm, `keyset.py` reads the keys that an issuer publishes.
"""
