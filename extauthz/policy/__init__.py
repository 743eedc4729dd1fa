"""Facts → Verdict: resources, guards, forbids, permits, and one combining table. Pure."""
