"""grpcio and PyJWT."""
