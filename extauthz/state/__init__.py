"""What must outlive the process: one SQLite file, a module for each group of tables, and connections to it.

Nothing here knows requests, policy or settings. Secrets are never stored: keys and spends are held as digests.
"""
