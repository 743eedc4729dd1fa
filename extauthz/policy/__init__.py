"""Facts → Verdict: policy files become an immutable `Ruleset`, which routes a request and judges it.

In the order of reading: `document` (what a file may say), `declaration` and `rulebook` (what it means), `compile`
(files → ruleset, or every problem in them), `index` and `ruleset` (which resource a request means), `attributes` and
`body` (what the resource knows about it), `rules`, `evaluate`, `combine` and `remedies` (the verdict).

It imports only `model/` and vocabulary: no clock, no store, no input or output.
"""
