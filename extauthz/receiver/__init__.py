"""How events reach us: pushed (RFC 8935), fetched (RFC 8936), and what is agreed with those who send them (SSF 1.0).

Nothing here decides what an event means, or whether it is genuine: each is handed to the desk (`desk.py`) as it came.
"""
