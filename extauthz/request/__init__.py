"""Bytes of a `CheckRequest` → `Request`: one reading, or a refusal.

`decode.py` is the door and the only file here that knows the generated messages. The other files each own one part of a
request and the rule for refusing what two parsers could read differently:

    headers.py      names, sizes, single-valued headers, override headers, pseudo headers
    methods.py      known methods, upgrades, CONNECT, CORS preflight
    host.py         one spelling per host
    path.py         the one path canonicaliser; splits first, decodes afterwards
    query.py        decoded pairs
    body.py         absent, partial or complete
    address.py      one spelling per IP address
    correlation.py  request id and trace id, for records only
    bounds.py       what the proxy that asks may ask about
"""
