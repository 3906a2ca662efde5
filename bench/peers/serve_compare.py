#!/usr/bin/env python3
"""`akin serve` against ONNX Runtime and llama.cpp behind a Node server, same weights, same load: texts a second and latency.

  bench/peers/serve_compare.py --akin build/src/akin --load build/bench/serve_load_bench --model OUT/models/4x312 \\
      --texts texts.txt --connections 32 256 --rounds 3 --seconds 20

One server at a time on --server-cpu, the load from a second process on --load-cpu; the contestants take
turns, each for a few seconds before the clock starts. Every vector is checked: akin's byte for byte, the
peer's by its cosine. Standard library only; the peer's packages as bench/peers/README.md says.
"""
import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def servers(args):
    threads = str(len(args.server_cpu.split(",")))
    akin = [args.akin, "serve", "--model", args.model, "--threads", threads, "--log", "none", "--quiet"]
    node = lambda script: ["node", os.path.join(HERE, script), "--model", args.model, "--threads", threads]
    ort, llama = node("serve_ort.mjs"), node("serve_llama.mjs") + ["--context", str(args.llama_context)]
    out = {"akin f32": akin, "akin int8": akin + ["--dtype", "int8"], "ort f32": ort, "ort int8": ort + ["--precision", "int8"],
           "llama f32": llama, "llama q8_0": llama + ["--precision", "q8_0"]}
    for batch in args.batch:
        out[f"ort f32, batch {batch}"] = ort + ["--batch", str(batch)]
    return {name: out[name] for name in args.servers or ["akin f32", "ort f32", "llama f32"] + [n for n in out if "batch" in n]}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if process.poll() is not None:
                sys.exit(f"a server ended with {process.returncode} before it listened")
            time.sleep(0.1)
    sys.exit("a server did not listen within a minute")


def load(args, port, pid, name, connections, seconds):
    command = ["taskset", "-c", args.load_cpu, args.load, "--port", str(port), "--model", args.model, "--texts", args.texts,
               "--connections", str(connections), "--seconds", str(seconds), "--pid", str(pid)]
    if not name.startswith("akin f32"):
        command += ["--nearly", "0.98" if "8" in name else "0.9999"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    line = json.loads(done.stdout)
    line["server"] = name
    return line


def run_round(args, results):
    for name, command in servers(args).items():
        port = free_port()
        process = subprocess.Popen(["taskset", "-c", args.server_cpu] + command + ["--port", str(port)], stdout=subprocess.DEVNULL)
        try:
            wait_for(port, process)
            load(args, port, process.pid, name, 32, 3)
            for connections in args.connections:
                line = load(args, port, process.pid, name, connections, args.seconds)
                results.setdefault((connections, name), []).append(line)
                print(json.dumps(line), flush=True)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for flag in ("--akin", "--load", "--model", "--texts"):
        parser.add_argument(flag, required=True)
    parser.add_argument("--servers", nargs="+")
    parser.add_argument("--batch", nargs="*", type=int, default=[], help="also the peer with batches of this size")
    parser.add_argument("--llama-context", type=int, default=128, help="longest text in tokens; longer ones are cut")
    parser.add_argument("--connections", nargs="+", type=int, default=[32, 256])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--load-cpu", default="1")
    args = parser.parse_args()
    results = {}
    for _ in range(args.rounds):
        run_round(args, results)
    for (connections, name), lines in sorted(results.items()):
        median = {key: statistics.median(line[key] for line in lines) for key in ("texts_per_s", "p50_ms", "p99_ms")}
        bad = sum(line["not_200"] + line["broken"] + line["wrong_vectors"] for line in lines)
        print(f"{connections:5d} connections  {name:18s} {median['texts_per_s']:8.1f} texts/s  p50 {median['p50_ms']:8.1f} ms  "
              f"p99 {median['p99_ms']:8.1f} ms  bad {bad}  ({', '.join(str(line['texts_per_s']) for line in lines)})")


if __name__ == "__main__":
    main()
