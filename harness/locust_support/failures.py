"""What broke below HTTP → the type of error that the records have for it."""

import socket
import ssl

from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError

from harness.records import ErrorType

_CUT = ("Incomplete response", "connection closed before end")


def error_type(error: BaseException) -> ErrorType:
    """The type of a failure of Locust's fast client."""
    cause = getattr(error, "original", None) or error  # it wraps those that it might have retried
    match cause:
        case TimeoutError():
            return "timeout"
        case ConnectionRefusedError() | socket.gaierror() | ssl.SSLError():
            return "connect"
        case HTTPConnectionClosed() | ConnectionError():
            return "reset"
        case HTTPParseError():
            return "truncated" if str(cause).startswith(_CUT) else "protocol"
        case OSError():
            return "connect"
    return "protocol"
