"""The figures of a page, one to a file; each is given records or figures of the summary."""
