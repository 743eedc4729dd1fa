"""Request → Identity: exactly one credential, proven."""
