"""Locust users of the service that judge its edits, and records of what they did.

Importing Locust replaces Python's own sockets and threads in the whole process, so nothing in the
package imports this; ``locustfile.py`` does, in a process of Locust's own.
"""
