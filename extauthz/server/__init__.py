"""The rim: gRPC, threads, sockets, files. `app.py` wires everything."""
