"""CheckRequest bytes → Request: one canonicaliser, which refuses what two parsers could read differently."""
