"""The registry: what people declare about identities, and which roles they bind to them, from files."""
