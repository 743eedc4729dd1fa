"""extauthz: continuous authorization for Envoy.

The folders follow a request:

    request/   bytes → Request          one canonicaliser; refuses what two parsers could read differently
    identity/  Request → Identity       one credential, proven; subject, actor and chain apart
    policy/    Facts → Verdict          resources, guards, forbids, permits; one combining table
    decision/  Request + Identity → Facts, and the record of what was decided
    response/  Decision → CheckResponse

`model/` holds the values they pass on, `ports.py` what they need from outside, `pipeline.py` joins them, `guard.py` is
the one fail-closed boundary round them. Sockets, files and threads live only in `server/`, `config/`, `audit/`, `cli/`
and `demo/`.
"""

__version__ = "0.1.0"
