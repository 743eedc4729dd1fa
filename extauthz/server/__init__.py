"""The shell round the core: sockets, threads, files and signals.

- `app.py` wires everything; it alone knows every part.
- `engine.py`: what an engine is; `engines.py`: which one serves.
- `grpcio_engine.py`, `pool.py`: gRPC in, everywhere.
- `native_engine.py`, `native_loop.py`, `evidence_pool.py`: the fast way in, for Envoys on this machine.
- `side_services.py`, `peer.py`: what both engines share.
- `listen.py`, `tls.py`: where we listen, and how that is protected.
- `proxies.py`: which proxy asks.
- `check.py`: one question from bytes to bytes: clock, core, fetches within the deadline, record, answer.
- `follower.py`: what stands in files, swapped in one assignment; `policy_loader.py` and `registry_loader.py` use it.
"""
