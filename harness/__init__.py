"""A benchmarking and evaluation harness for LLM edit pipelines."""

__version__ = "0.1.0"
