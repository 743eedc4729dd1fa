"""The guided tour: an issuer, an upstream, extauthz and a real Envoy on loopback, and requests that show each at work.

Nothing here is part of the server. `tour.py` is the table to read first.
"""
