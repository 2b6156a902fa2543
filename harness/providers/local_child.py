"""The child process of ``LocalServer``: llama.cpp's own server on one GGUF file.

Run by path, with the settings as JSON in its only argument. It needs nothing of the package, so it
starts without importing any of it. Its stdout carries one JSON line, written when the server can
take requests: ``{"url": …}``. Everything the engine says goes to stderr.
"""

import importlib
import json
import os
import select
import sys
import threading
from typing import Any


def serve(settings: dict[str, Any]) -> Any:
    """Load the model and listen on a free loopback port; returns the running server."""
    # How long an idle thread spins before it sleeps, read when the library is loaded. Its default
    # of milliseconds collapses when anything else wants the CPU, and sleeping at once halves the
    # speed of a quiet machine (17 against 35 tokens/s); some microseconds serve both.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    xllamacpp: Any = importlib.import_module("xllamacpp")

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    params.model_alias = {os.path.basename(settings["model"])}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.cors_origins = "http://127.0.0.1"  # by default any web page may read from it
    params.ui = False
    params.endpoint_metrics = True
    params.verbosity = 2  # warnings and errors; at 3 it writes some ten lines per request
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context"]  # divided equally between the slots
    params.kv_unified = False
    params.fit_params = False  # it would shrink the context to the free memory without a word
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.use_jinja = True
    params.cache_prompt = settings["prompt_cache"]
    if not settings["prompt_cache"]:
        params.cache_ram_mib = 0
        params.cache_idle_slots = False
    return xllamacpp.Server(params)  # returns when the model is loaded and the port is open


def end_with_parent(parent: int) -> None:
    """End this process at once when the parent is gone: its end of our stdin closes.

    The parent's id is watched too, since a fork of the parent may hold that pipe open. (The
    kernel's PR_SET_PDEATHSIG would not do: it fires when the *thread* that started us ends.)
    """
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], 1.0)
        if readable and not os.read(0, 1024):
            break
    os._exit(0)  # without the engine's destructors, which can hang with streams in flight


def main() -> None:
    """Serve until SIGTERM or until the parent is gone."""
    parent = os.getppid()
    # The engine must not write to the line that the parent reads.
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    server = serve(json.loads(sys.argv[1]))
    with stdout:
        print(json.dumps({"url": server.listening_address}), file=stdout)
    # SIGTERM keeps its default action: the process ends there and then.
    watcher = threading.Thread(target=end_with_parent, args=(parent,))
    watcher.start()
    watcher.join()


if __name__ == "__main__":
    main()
