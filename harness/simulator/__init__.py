"""A simulated LLM with latency and faults, in process and over HTTP."""
