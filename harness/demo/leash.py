"""Runs a module as ``python -m`` does, and ends it when the process that started it is gone.

That process holds the other end of our standard input: when it ends, however it ends, reading
comes to an end, and this process takes the signal to terminate.
"""

import os
import runpy
import signal
import sys
import threading


def main() -> None:
    """``python -m harness.demo.leash MODULE ARGUMENTS…``"""
    threading.Thread(target=_watch, daemon=True).start()
    del sys.argv[0]  # run_module replaces the next one by the module's path
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _watch() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
