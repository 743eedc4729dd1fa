"""Request and Identity → the facts that rules see."""
