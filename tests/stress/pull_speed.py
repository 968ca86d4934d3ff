#!/usr/bin/env python3
"""How fast `zeval pull` fetches, hashes and stores one large file, beside `curl -o` on the same file: nginx serves a
folder laid out as the hub's answers on loopback, the two take turns, and the medians are compared.

    tests/stress/pull_speed.py [--zeval build/zeval] [--gigabytes 2] [--turns 5] [--folder DIR] [--parallel N]

Needs nginx and curl (Debian: nginx-light, curl). Fails if zeval is below 60 % of curl or takes 64 MB of memory."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NGINX = """daemon off; worker_processes 1; error_log stderr; pid {root}/nginx.pid;
events {{ worker_connections 64; }}
http {{ access_log off; sendfile on; client_body_temp_path {root}/t; proxy_temp_path {root}/t;
        fastcgi_temp_path {root}/t; uwsgi_temp_path {root}/t; scgi_temp_path {root}/t;
        server {{ listen 127.0.0.1:{port}; root {root}/www; }} }}
"""


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(data)


def make_hub(root, size):
    """One model with one large file, and the hub's two documents about it."""
    www = os.path.join(root, "www")
    weights = os.path.join(www, "bench/large/resolve", COMMIT, "model.safetensors")
    os.makedirs(os.path.dirname(weights))
    digest, block = hashlib.sha256(), os.urandom(1 << 20)
    with open(weights, "wb") as file:
        for at in range(0, size, len(block)):
            part = (at.to_bytes(8, "little") + block[8:])[: size - at]
            digest.update(part)
            file.write(part)
    lfs = {"oid": digest.hexdigest(), "size": size, "pointerSize": 135}
    entry = {"type": "file", "oid": COMMIT, "size": size, "path": "model.safetensors", "lfs": lfs}
    write(os.path.join(www, "api/models/bench/large/revision/main"), json.dumps({"sha": COMMIT}))
    write(os.path.join(www, "api/models/bench/large/tree", COMMIT), json.dumps([entry]))
    return "/bench/large/resolve/%s/model.safetensors" % COMMIT


def timed(command, environment):
    """Seconds on the clock, seconds of processor, the most memory in MB."""
    start = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit("failed: " + " ".join(command))
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--zeval", default="build/zeval")
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--folder")
    parser.add_argument("--parallel", default="4")
    options = parser.parse_args()
    nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not nginx or not shutil.which("curl"):
        sys.exit("skipped: this needs nginx and curl")
    root = tempfile.mkdtemp(prefix="zeval-speed-", dir=options.folder)
    port, server = 20000 + os.getpid() % 20000, None
    try:
        path = make_hub(root, int(options.gigabytes * 1e9))
        write(os.path.join(root, "nginx.conf"), NGINX.format(root=root, port=port))
        os.chmod(root, 0o755)
        server = subprocess.Popen([nginx, "-p", root, "-c", os.path.join(root, "nginx.conf")])
        time.sleep(0.5)
        url, store, copy = "http://127.0.0.1:%d" % port, os.path.join(root, "store"), os.path.join(root, "copy")
        environment = dict(os.environ, HF_ENDPOINT=url, HF_HOME=os.path.join(root, "python"), ZEVAL_STORE=store,
                           ZEVAL_CACHE=os.path.join(root, "cache"), no_proxy="127.0.0.1")
        pull = [options.zeval, "pull", "bench/large", "--quiet", "--parallel", options.parallel]
        curl = ["curl", "-s", "-f", "-o", copy, url + path]
        turns = {"curl": [], "zeval": []}
        for turn in range(options.turns + 1):
            for name, command in (("curl", curl), ("zeval", pull)):
                shutil.rmtree(store, ignore_errors=True)
                if os.path.exists(copy):
                    os.remove(copy)
                os.sync()
                result = timed(command, environment)
                if turn > 0:  # the first turn warms the page cache of the server's file
                    turns[name].append(result)
                    print("%-5s  %.2f s, %.0f MB/s, %.2f s of processor, %.0f MB of memory"
                          % (name, result[0], options.gigabytes * 1e3 / result[0], result[1], result[2]), flush=True)
        seconds = {name: statistics.median(turn[0] for turn in of) for name, of in turns.items()}
        memory = max(turn[2] for turn in turns["zeval"])
        share = seconds["curl"] / seconds["zeval"]
        print("medians of %d: curl %.2f s, zeval %.2f s: %.0f %% of curl's speed, %.0f MB of memory"
              % (options.turns, seconds["curl"], seconds["zeval"], 100 * share, memory))
        return 0 if share >= 0.6 and memory < 64 else 1
    finally:
        if server:
            server.send_signal(signal.SIGTERM)
            server.wait()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
