"""The service: the harness's own pipelines over HTTP."""
