"""Request → Identity: one credential, proven; subject, actor and chain apart.

`authenticate.py` is the only door. Behind it, in order: `credentials.py` finds exactly one credential, `bearer.py`
proves it (what tokens look like is in `shapes.py`, the steps of all of them in `signed.py`), `mapping.py` with
`delegation.py` says who that is. `rules.py` holds what the operator configured, `claims.py` reads claims with their
types. Nothing here does I/O: keys come through `ports.KeySource`.
"""
