"""Settings: what they mean, where they come from, and which of them weaken the server."""
