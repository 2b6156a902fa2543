"""GuideLLM and AIPerf, each in an environment of its own, as their manuals say to run them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "harness" / "peers"
PEERS = {"GuideLLM": "guidellm", "AIPerf": "aiperf"}
INSTALL_S = 300
REQUESTS = 600
# AIPerf counts tokens itself and would fetch how; one token a byte needs no network.
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
    python = folder / "bin" / "python"
    try:
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder],
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


def peer_command(client: str, stream: bool, url: str, number: int, out: Path) -> list[str] | None:
    """The command of a peer with ``number`` in flight; None for what is no peer."""
    program = HOME / client.lower() / "bin" / PEERS.get(client, "")
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
        command += ["--endpoint-type", "chat", "--tokenizer", str(HOME / "aiperf" / "tokenizer")]
        command += ["--ui-type", "none"]
        command += ["--concurrency", str(number), "--request-count", str(count)]
        command += ["--artifact-dir", str(out / "aiperf")]
        return [*command, "--streaming"] if stream else command
    return None
