"""Locust users of the service that judge its edits, and records of what they did.

Importing Locust replaces Python's own sockets and threads in the whole process, so nothing in the
package imports what does so; ``locustfile.py`` does, in a process of Locust's own. ``merging``,
which needs no Locust, serves commands too: they put together what a killed Locust left.
"""
