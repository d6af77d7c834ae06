#!/usr/bin/python3
"""Runs a verifier over a folder of cases: manifest.json, messages, keys.

    run_cases.py [--cases DIR] [--only PART] COMMAND...

COMMAND gets `verify` or `dsn-verify` and
`--mail-from A --rcpt-to B... --dns JSON --time T` behind it and a message on standard input. The result and the text of each case have
to be exactly those of the manifest; the few that we answer otherwise are
listed below, each with its reason.
"""
import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CASES = HERE.parent / "vectors" / "shared-cases"
RESULTS = {0: "pass", 1: "fail", 2: "permerror", 3: "temperror", 4: "none"}

# What we answer instead, and why.
OURS = {
    "one-mldsa44": ("permerror", "algorithm unknown",
        "OpenSSL 3.0 has no ML-DSA: an unknown algorithm"),
    "i-hash-upper": ("fail", "incorrect signature",
        "changed after it was signed, so two things are wrong, and "
        "signatures come before hashes"),
}


def load(folder=CASES):
    return json.loads((folder / "manifest.json").read_text())["cases"]


def run(command, case, folder=CASES):
    """Returns the result by exit code and the JSON of the last line."""
    args = [*command, case.get("command", "verify"),
            "--mail-from", case["mail_from"]]
    for rcpt in case["rcpt_to"]:
        args += ["--rcpt-to", rcpt]
    args += ["--dns", str(folder / case.get("dns", "dns.json")),
             "--time", str(case["time"])]
    with open(folder / case["file"], "rb") as message:
        done = subprocess.run(args, stdin=message, capture_output=True,
                              timeout=60)
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    try:
        answer = json.loads(lines[-1])
    except (IndexError, ValueError):
        answer = {}
    result = RESULTS.get(done.returncode)
    if result is None:
        result = f"exit {done.returncode}: {done.stderr.decode()[-2000:]}"
    return result, answer


def judge(command, case, folder=CASES):
    """Returns None where all is as it should be, or what is not."""
    wanted, text = case["expected"], case.get("error") or ""
    if case["id"] in OURS:
        wanted, text, _ = OURS[case["id"]]
    result, answer = run(command, case, folder)
    error = answer.get("error") or ""
    if result != wanted or answer.get("result") != wanted:
        return f"{result} ({error}), not {wanted} ({text}): {case['note']}"
    if text.lower() not in error.lower():
        return f"the text is {error!r} without {text!r}: {case['note']}"
    provisional = case.get("provisional")
    if provisional and answer.get("provisional_result") != provisional:
        return (f"provisionally {answer.get('provisional_result')}, not "
                f"{provisional}: {case['note']}")
    return None


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--cases", type=pathlib.Path, default=CASES)
    options.add_argument("--only", default="")
    options.add_argument("command", nargs="+")
    o = options.parse_args()
    good = bad = 0
    for case in load(o.cases):
        if o.only not in case["id"]:
            continue
        wrong = judge(o.command, case, o.cases)
        good, bad = good + (wrong is None), bad + (wrong is not None)
        if wrong is not None:
            print(f"{case['id']}: {wrong}")
    print(f"{good} passed, {bad} failed")
    return 1 if bad or not good else 0


if __name__ == "__main__":
    sys.exit(main())
