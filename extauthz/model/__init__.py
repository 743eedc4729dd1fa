"""Frozen values that the stages pass on; one may mention only those that exist before it.

reason → request → registry → identity → state → facts → verdict → decision
"""
