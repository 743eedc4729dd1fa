"""A mesh to try: issuer, upstream, real Envoy and a guided tour."""
