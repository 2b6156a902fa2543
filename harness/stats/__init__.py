"""From records to samples, estimates and comparisons.

One module per step: ``sample`` (records → values, exclusions counted), ``estimate`` (one sample →
a point with its interval), ``compare`` (two arms → a ratio). Only numpy is imported up front.
"""
