"""Frozen values that the stages pass on; one may mention only those that exist before it.

reason → request → identity → facts → verdict → decision
"""
