"""Many messages through every style of lists and servers: the author signs,
somebody changes the message, the next hop extends the chain with a recipe, and
the peer judges. Also a program:

  mix.py [--count N] [--seed N] [--only STYLE] [--first N] [--keep]
"""

import argparse
import base64
import collections
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import corpus
import servers
import styles

ROOT = Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("B", "build")).resolve()
HOPS = BUILD / "tests" / "tools" / "hops"
TIME = 1795000000
# domain, selector, MAIL FROM, RCPT TO
AUTHOR = ("author.example", "a1", "<ann@author.example>",
          "<talk@lists.example>")
LISTS = ("lists.example", "l1", "<talk-bounces+bert=reader.example@lists."
         "example>", "<bert@reader.example>")
FITS = 47000        # octets of a recipe whose field has 64 KiB
COPY = 20           # what `]},{"c":[1,1]},{"d":[` adds to literals, at least

LIST_STYLES = {**{f"list {n}": f for n, f in styles.ALL.items()},
               "list octets": None}
SERVER_STYLES = {f"server {n}": f for n, f in servers.ALL.items()}
STYLES = [*LIST_STYLES, *SERVER_STYLES]


def change(style, octets):
    where, _, name = style.partition(" ")
    if style == "list octets":
        return styles.plain_octets(octets)
    return (styles if where == "list" else servers).apply(name, octets)


class Site:
    """Keys of both, and the file of their records."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        records = {}
        self.words = []
        for domain, selector, sender, rcpt in (AUTHOR, LISTS):
            keys = self.folder / "keys"
            pem = keys / domain / f"{selector}.pem"
            if not pem.exists():
                subprocess.run([BUILD / "hopseal", "keygen", "--keys", keys,
                                domain, selector], check=True,
                               capture_output=True)
            record = subprocess.run(
                [BUILD / "hopseal", "dns-record", pem, domain, selector,
                 "--json"], check=True, capture_output=True).stdout
            records |= json.loads(record)
            self.words += [domain, selector, str(pem), sender, rcpt]
        self.dns = self.folder / "dns.json"
        self.dns.write_text(json.dumps(records))


def literal(line):
    """Octets of a line in the JSON of a recipe."""
    try:
        words = line.decode("utf-8")
    except UnicodeDecodeError:
        return len(base64.b64encode(line)) + 3
    return len(json.dumps(words, ensure_ascii=False).encode()) + 1


def needs(old, now):
    """Octets that any recipe has at least: each line of the old body that is
    nowhere in the new one as it stands in JSON, and what is between such
    lines, as it stands or as a copy. Or, of lines that became fewer, those."""
    was, left = (octets.partition(b"\r\n\r\n")[2].split(b"\r\n")
                 for octets in (old, now))
    there = collections.Counter(left)
    gone = collections.Counter(was) - there
    fewer = sum(n * literal(line) for line, n in gone.items())
    total, stretch = 0, None
    for line in was:
        if there[line]:
            stretch = None if stretch is None else stretch + literal(line)
        else:
            total += literal(line) + min(stretch or 0, COPY)
            stretch = 0
    return max(fewer, total)


def tool(site, lines):
    """The answers of tests/tools/hops to these commands."""
    done = subprocess.run([HOPS, str(TIME), *site.words], capture_output=True,
                          input="".join(line + "\n" for line in lines),
                          text=True)
    if done.returncode != 0:
        raise AssertionError(f"hops: {done.returncode}: {done.stderr}")
    answers = done.stdout.splitlines()
    assert len(answers) == len(lines), done.stderr
    return answers


def judge(site, peer, path):
    """What the peer says of a file, and whether i=1 and i=2 are there."""
    with open(path, "rb") as octets:
        done = subprocess.run(
            [peer, "verify", "--mail-from", LISTS[2], "--rcpt-to", LISTS[3],
             "--dns", site.dns, "--time", str(TIME + 60)],
            stdin=octets, stdout=subprocess.PIPE, close_fds=False)
    said = json.loads(done.stdout.splitlines()[-1])
    if said["result"] != "pass":
        return f"peer {said['result']}: {said['error']}"
    chain = [(s["i"], s["d"], s["result"]) for s in said["signatures"]]
    if sorted(chain) != [(1, AUTHOR[0], "pass"), (2, LISTS[0], "pass")]:
        return f"peer pass, but the chain is {chain}"
    return "pass"


def batch(job):
    """[(style, number, outcome, octets of the recipe)] of some messages."""
    site, peer, seed, numbers, wanted, is_kept = job
    folder = site.folder / f"batch-{numbers[0]}"
    folder.mkdir(exist_ok=True)
    found, lines, todo = [], [], []
    for n in numbers:
        (folder / f"{n}.eml").write_bytes(corpus.message(seed, n))
    answers = tool(site, [f"first\t{folder}/{n}.eml\t{folder}/{n}.signed"
                          for n in numbers])
    for n, answer in zip(numbers, answers):
        if not answer.startswith("pass"):
            found.append(("author", n, answer, 0))
            continue
        signed = (folder / f"{n}.signed").read_bytes()
        for k, style in enumerate(wanted):
            path = folder / f"{n}.{k}"
            try:
                path.with_suffix(f".{k}-now").write_bytes(change(style, signed))
            except Exception:
                found.append((style, n, "model: " + repr(traceback.format_exc()[-300:]),
                              0))
                continue
            lines.append(f"next\t{folder}/{n}.signed\t{path}-now\t{path}-out")
            todo.append((style, n, path))
    for (style, n, path), answer in zip(todo, tool(site, lines)):
        word, _, rest = answer.partition(" ")
        size = int(rest) if word == "pass" else 0
        if word == "pass":
            answer = judge(site, peer, f"{path}-out")
        elif word == "long":
            least = needs((folder / f"{n}.signed").read_bytes(),
                          Path(f"{path}-now").read_bytes())
            answer = "does not fit" if least > FITS else "long"
            answer += f": {least} octets at least"
        found.append((style, n, answer, size))
    assert len(todo) == len(lines)
    if not is_kept:
        shutil.rmtree(folder)
    return found


def run(folder, peer, seed, count, wanted=STYLES, first=0, size=25,
        is_kept=False):
    """{style: [(number, outcome, octets of the recipe)]}"""
    site = Site(folder)
    numbers = list(range(first, first + count))
    jobs = [(site, peer, seed, numbers[k:k + size], wanted, is_kept)
            for k in range(0, count, size)]
    table = collections.defaultdict(list)
    with multiprocessing.Pool(min(os.cpu_count() or 1, 4)) as pool:
        for found in pool.imap_unordered(batch, jobs):
            for style, number, outcome, octets in found:
                table[style].append((number, outcome, octets))
    return table


def report(table):
    """Lines for people: the share of each style, then every failure."""
    out = []
    for style in ["author", *STYLES]:
        rows = table.get(style, [])
        if not rows:
            continue
        good = sum(outcome == "pass" for _, outcome, _ in rows)
        most = max(octets for _, _, octets in rows)
        out.append(f"{style + ':':24} {good} of {len(rows)} pass "
                   f"({100 * good / len(rows):.1f} %), longest recipe {most}")
        for number, outcome, _ in sorted(rows):
            if outcome != "pass":
                out.append(f"    message {number}: {outcome}")
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--count", type=int, default=400)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--only")
    p.add_argument("--keep", action="store_true")
    given = p.parse_args()
    peer = os.environ.get("PEER") or subprocess.run(
        [ROOT / "tests/interop/peer.sh"], check=True, capture_output=True,
        text=True).stdout.strip()
    wanted = [s for s in STYLES if not given.only or given.only in s]
    table = run(BUILD / "lists" / "mix", peer, given.seed, given.count, wanted,
                given.first, is_kept=given.keep)
    print("\n".join(report(table)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
