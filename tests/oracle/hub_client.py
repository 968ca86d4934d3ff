#!/usr/bin/env python3
"""The hub's own Python client and zeval, in one cache: what the client wrote is used in place, and the client takes
what zeval wrote for its own. Both talk to the test hub on loopback (build/tests/test_zoo serve).

    VENV/bin/python tests/oracle/hub_client.py [--build build]

Needs huggingface_hub (0.36 and 1.x were tried). Prints what it checked; fails at the first difference."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def write(folder, name, data):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def contents(folder):
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


def check(truth, what):
    if not truth:
        sys.exit("FAILED: " + what)
    print("ok: " + what)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    options = parser.parse_args()
    root = tempfile.mkdtemp(prefix="zeval-client-")
    served, theirs, ours = (os.path.join(root, name) for name in ("served", "theirs", "ours"))
    write(served, "config.json", b'{"model_type": "test"}\n')
    write(served, "tokenizer.json", b"{}\n")
    write(served, "model.safetensors", os.urandom(3 << 20))
    port = 20000 + os.getpid() % 20000
    server = subprocess.Popen([os.path.join(options.build, "tests/test_zoo"), "serve", str(port), served],
                              stdout=subprocess.PIPE, text=True)
    try:
        endpoint = server.stdout.readline().strip().split("=", 1)[1]
        os.environ.update(HF_ENDPOINT=endpoint, HF_HOME=os.path.join(root, "home"), no_proxy="127.0.0.1,localhost")
        import huggingface_hub
        print("huggingface_hub", huggingface_hub.__version__)

        def zeval(*arguments, store=ours, cache=theirs):
            environment = dict(os.environ, ZEVAL_STORE=store, ZEVAL_CACHE=os.path.join(root, "cache"),
                               HF_HUB_CACHE=cache)
            result = subprocess.run([os.path.join(options.build, "zeval"), *arguments], env=environment,
                                    capture_output=True, text=True)
            if result.returncode != 0:
                sys.exit("FAILED: zeval %s: %s" % (" ".join(arguments), result.stderr))
            return result.stdout

        truth = contents(served)
        for kind, name, revision in (("model", "test/model", "main"),
                                     ("dataset", "test/data", "refs/convert/parquet")):
            ours_name = ("datasets/" if kind == "dataset" else "") + name
            folder = huggingface_hub.snapshot_download(name, repo_type=kind, revision=revision, cache_dir=theirs,
                                                       endpoint=endpoint)
            found = zeval("pull", ours_name, "--offline").strip()
            check(os.path.realpath(found) == os.path.realpath(folder), kind + ": the client's cache is used in place")
            check("all good" in subprocess.run(
                [os.path.join(options.build, "zeval"), "verify", ours_name], capture_output=True, text=True,
                env=dict(os.environ, ZEVAL_STORE=ours, HF_HUB_CACHE=theirs)).stderr, kind + ": and verified")
            pulled = json.loads(zeval("pull", ours_name, "--json", "--quiet"))
            check(pulled["bytes_fetched"] == 0, kind + ": a pull takes its bytes over")
            check(contents(pulled["folder"]) == truth, kind + ": unchanged")

            shutil.rmtree(ours)
            none = os.path.join(root, "none")
            pulled = json.loads(zeval("pull", ours_name, "--json", "--quiet", cache=none))
            check(pulled["bytes_fetched"] > 0, kind + ": zeval pulls")
            before = {path: os.stat(os.path.join(pulled["folder"], path)).st_mtime_ns for path in truth}
            for offline in (True, False):
                folder = huggingface_hub.snapshot_download(name, repo_type=kind, revision=revision, cache_dir=ours,
                                                           endpoint=endpoint, local_files_only=offline)
                check(os.path.realpath(folder) == os.path.realpath(pulled["folder"]),
                      "%s: the client finds it, %s" % (kind, "offline" if offline else "asking the hub"))
            check(contents(folder) == truth and before == {
                path: os.stat(os.path.join(folder, path)).st_mtime_ns for path in truth},
                kind + ": and fetches nothing again")
        info = huggingface_hub.scan_cache_dir(ours)
        check(len(info.repos) == 1 and not info.warnings, "the client's scan of the store has nothing to complain of")
        # What one began, the other ends.
        zeval("pull", "test/model", "--quiet")
        blob = os.path.join(ours, "models--test--model", "blobs")
        weights = next(n for n in os.listdir(blob) if len(n) == 64)
        whole = open(os.path.join(blob, weights), "rb").read()
        shutil.rmtree(ours)
        os.makedirs(blob)
        write(blob, weights + ".incomplete", whole[: 1 << 20])
        pulled = json.loads(zeval("pull", "test/model", "--json", "--quiet", cache=os.path.join(root, "none")))
        check(contents(pulled["folder"]) == truth and pulled["bytes_fetched"] < len(whole),
              "a download that the client began is ended")
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
