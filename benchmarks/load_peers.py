"""GuideLLM, AIPerf and inference-perf, each in an environment of its own, as manuals run them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "harness" / "peers"
PEERS = {"GuideLLM": "guidellm", "AIPerf": "aiperf", "inference-perf": "inference-perf"}
LEAST_PYTHON = {"inference-perf": (3, 12)}
INSTALL_S = 300
REQUESTS = 600
# They count tokens themselves and would fetch how; one token a byte needs no network.
TOKENIZER = """
import sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
plain = Tokenizer(models.BPE({c: i for i, c in enumerate(["<s>", *letters])}, []))
plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
plain.decoder = decoders.ByteLevel()
whole = PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", eos_token="<s>")
whole.save_pretrained(sys.argv[1])
"""


def install(peer: str) -> str | None:
    """Have ``peer`` ready; why not, if it cannot be had within five minutes."""
    folder = HOME / peer.lower()
    if (folder / "ready").exists():
        return None
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if uv is None:
        return "uv, which makes its environment, is not installed"
    base = _interpreter(LEAST_PYTHON.get(peer, (3, 11)))
    if base is None:
        return "needs a newer Python, and none was found (set HARNESS_PEER_PYTHON to its path)"
    python = folder / "bin" / "python"
    try:
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", base, folder],
            [uv, "pip", "install", "--quiet", "--python", python, PEERS[peer]],
            [python, "-c", TOKENIZER, folder / "tokenizer"],
        ):
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        return f"does not install within {INSTALL_S} s"
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode("utf-8", "replace").strip().splitlines()
        return f"does not install: {lines[-1] if lines else error.returncode}"
    (folder / "ready").touch()
    return None


def _interpreter(least: tuple[int, int]) -> str | None:
    """A Python of at least this version: this one, or one that was named or is on the path."""
    if sys.version_info >= least:
        return sys.executable
    named = os.environ.get("HARNESS_PEER_PYTHON")
    return named or next(filter(None, map(shutil.which, ("python3.12", "python3.13"))), None)


def peer_command(client: str, stream: bool, url: str, number: int, out: Path) -> list[str] | None:
    """The command of a peer with ``number`` in flight; None for what is no peer."""
    program = HOME / client.lower() / "bin" / PEERS.get(client, "")
    tokenizer = str(HOME / client.lower() / "tokenizer")
    count = max(REQUESTS, 3 * number)
    if client == "GuideLLM":
        data = out / "prompts.json"
        data.write_text(json.dumps([{"prompt": f"Tell a short story, {i}."} for i in range(count)]))
        backend = f"kind=openai_http,target={url},model=m,request_format=/v1/chat/completions"
        backend += f",stream={str(stream).lower()}"
        command = [str(program), "run", "--disable-progress", "--backend", backend]
        command += ["--profile", f"kind=concurrent,streams={number}"]
        command += ["--constraint", f"kind=max_requests,count={count}"]
        command += ["--output", f"kind=json,path={out}/guidellm.json"]
        return [*command, "--data", f"kind=json_file,path={data}"]
    if client == "AIPerf":
        command = [str(program), "profile", "--model", "m", "--url", url]
        command += ["--endpoint-type", "chat", "--tokenizer", tokenizer]
        command += ["--ui-type", "none"]
        command += ["--concurrency", str(number), "--request-count", str(count)]
        command += ["--artifact-dir", str(out / "aiperf")]
        return [*command, "--streaming"] if stream else command
    if client == "inference-perf":
        stage = {"num_requests": count, "concurrency_level": number}
        config = {
            "api": {"type": "chat", "streaming": stream},
            "data": {"type": "mock"},
            "load": {"type": "concurrent", "stages": [stage]},
            "server": {"type": "vllm", "model_name": "m", "base_url": url},
            "tokenizer": {"pretrained_model_name_or_path": tokenizer},
            "storage": {"local_storage": {"path": str(out / "inference-perf")}},
        }
        file = out / "inference-perf.yml"
        file.write_text(json.dumps(config))  # which is YAML too
        return [str(program), "--config_file", str(file)]
    return None
