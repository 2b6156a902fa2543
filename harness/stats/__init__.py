"""From records to samples, estimates, comparisons and verdicts.

One module per step, each importing only from those above it, and only numpy up front:

- ``sample``: records → values and pairs, with every exclusion counted
- ``estimate``: one sample → a point with its interval
- ``compare``: two arms → a ratio with its interval
- ``sequential``: the same, for looking at every block
- ``verdict``: an interval and a claim → supported, refuted or inconclusive
- ``power``: how many blocks that takes
"""
