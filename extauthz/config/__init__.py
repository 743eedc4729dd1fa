"""Settings: the models, how they are read, and the list of switches that weaken the server."""
