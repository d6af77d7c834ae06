#!/usr/bin/python3
"""Times libdkim2 against the peer and against bare SHA-256; never judges.

    core.py BUILD [N]

Runs BUILD/tests/bench/core and the peer's own bench over the same messages in
turn, three times each, and prints the best medians in microseconds and what
they are to each other. The peer is the one on aws-lc where that is built
(PEER_AWSLC=1 builds it), else the one in Rust alone, which is slower.
"""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUNDS = 3


def lines(command):
    done = subprocess.run([str(c) for c in command], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def key(row):
    return row["algorithm"], row["bytes"], row["chain"]


def best(into, row, names):
    have = into.setdefault(key(row), {})
    for name, value in names.items():
        have[name] = min(have.get(name, value), value)


def find_peer(build):
    """Returns the path of the peer and what it is built on, or None."""
    fair = ROOT / build / "peer-awslc" / "release" / "dkim2-peer"
    env = dict(os.environ)
    if fair.exists() or env.get("PEER_AWSLC"):
        env = {k: v for k, v in env.items() if k != "PEER"}
        env["PEER_AWSLC"] = "1"
    done = subprocess.run(["tests/interop/peer.sh"], cwd=ROOT, text=True,
                          capture_output=True, env={**env, "B": build})
    if done.returncode != 0:
        print(done.stderr.strip())
        if env.get("CI"):
            sys.exit(1)
        return None, None
    return done.stdout.strip(), ("aws-lc" if "awslc" in done.stdout
                                 else "Rust alone")


def main():
    build = sys.argv[1]
    n = sys.argv[2] if len(sys.argv) > 2 else "100"
    peer, kind = find_peer(build)
    ours, theirs, alone = {}, {}, {}
    for _ in range(ROUNDS):
        for row in lines([f"{build}/tests/bench/core", n]):
            if "alone" in row:
                have = alone.setdefault(row["algorithm"], row["alone"])
                alone[row["algorithm"]] = list(map(min, have, row["alone"]))
                continue
            best(ours, row, {k: row[k] for k in ("sign", "verify", "sha256")})
        if peer:
            for row in lines([peer, "bench", n]):
                best(theirs, row, {"sign": row["sign_us_median"],
                                   "verify": row["verify_us_median"]})
    print(f"microseconds a message; the peer is built on {kind}" if peer
          else "microseconds a message; peer NOT RUN")
    print(f"{'':24}{'sign':>9}{'peer':>9}{'ratio':>7}{'verify':>10}"
          f"{'peer':>9}{'ratio':>7}{'sha256':>9}{'verify/':>8}")
    for (algorithm, size, chain), row in ours.items():
        line = f"{algorithm:8} {size:8} {chain:5}"
        for what in ("sign", "verify"):
            other = theirs.get((algorithm, size, chain), {}).get(what)
            line += f"{row[what]:10.1f}"
            line += (f"{other:9.1f}{row[what] / other:7.2f}" if other
                     else f"{'-':>9}{'-':>7}")
        line += f"{row['sha256']:9.1f}{row['verify'] / row['sha256']:8.2f}"
        print(line)
    for algorithm, (sign, verify) in alone.items():
        print(f"{algorithm}: one signature alone takes its library {sign} to "
              f"make, {verify} to check")
    slower = [" ".join(map(str, k)) + " " + what for k, row in theirs.items()
              for what in ("sign", "verify") if ours[k][what] > row[what]]
    if peer:
        print("slower than the peer: " + (", ".join(slower) or "nothing"))


if __name__ == "__main__":
    main()
