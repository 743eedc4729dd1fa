"""The shell round the core: sockets, threads, files and signals.

- `app.py` wires everything; it alone knows every part.
- `grpcio_engine.py`: gRPC in, behind `engine.py`, so that another engine can take its place.
- `listen.py`, `tls.py`: where we listen, and how that is protected.
- `proxies.py`: which proxy asks.
- `check.py`: one question from bytes to bytes: clock, core, fetches within the deadline, record, answer.
- `policy_loader.py`: policy from disk, swapped in one assignment.
- `lifecycle.py`: signals and drain.
"""
