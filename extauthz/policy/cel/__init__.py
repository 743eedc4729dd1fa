"""Conditions: CEL expressions over flat typed facts, compiled and checked at load, evaluated without surprises.

What CEL alone would let pass is refused here: results that are not booleans, `has()` on flat names, literals outside a
closed vocabulary (`identity.kind == "agnet"`), expressions that read no fact, nested loops.
"""
