#!/usr/bin/python3
"""page.py [--write] PAGE   follows a page of the guide word for word.

It runs on a machine of its own (machine.sh), which is thrown away. What stands
in a page is done as it stands, from top to bottom; the first word behind the
back-quotes of a block says what it is, the rest what is done with it:

    ```yaml file=PATH           becomes that file
    ```ini add=PATH             is added to that file
    ```exim add=PATH under=WORDS  is added under the line that says WORDS_WORDS
    ```console                  `# command` is run, `NAME# command` on another
                                machine: one of ours, else the far one; what
                                stands below it is what it prints, a line `...`
                                for any lines
    any other block             is for the reader alone

What a reader does or sees elsewhere stands in comments, which are not shown:

    <!-- start: NAME -->        a server of beside.py; stop: NAME ends it
    <!-- machine: NAME ADDRESS -->  one more of ours; without an address it is
                                the one that we are on
    <!-- publish -->            puts every record printed so far into the DNS,
                                or those of a file: publish: FILE
    <!-- unpublish: NAME -->    takes one out
    <!-- zone: LINE -->         a line of the DNS
    <!-- arrives: FILE -->      what came to somebody far away, as a file
    <!-- run: COMMANDS -->      commands of the shell; far: COMMANDS on the
                                other machine, NAME: COMMANDS on one of ours

The two differ in what no run has twice: MASKS. --write puts what was printed
into the page.
"""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e"), str(HERE.parent / "lists"), str(HERE)]
import harness  # noqa: E402
import world  # noqa: E402

# What is never the same twice: times, ids, keys, ports, sizes of what has them.
MASKS = [
    (r"[A-Za-z0-9+/]{40,}={0,2}", "BASE64"),
    (r"\bSRS0=[^=]+=[^=]+=", "SRS0=HASH=DAY="),
    (r'(BASE64)("\s+"BASE64)+', "BASE64"),
    (r"\b\d{14}\.\d{6}\b", "ID"),
    (r"\b[0-9A-F]{7,}\b", "ID"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z)?", "TIME"),
    (r"\b\d{4}-\d\d-\d\d\b", "TIME"),
    (r"^[A-Z][a-z][a-z] [ \d]\d [\d:]{8}(?= )", "TIME"),
    (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d+ [A-Z][a-z]+ \d{4} [\d:]{8}", "TIME"),
    (r"\b1[789]\d{8}\b", "SECONDS"),
    (r"\bdelay=[\d.]+(, delays=[\d./]+)?", "delay=N"),
    (r"\[(\d+)\]: ", "[PID]: "),
    (r"\b[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}\b", "ID"),
    (r"\b(worker|signer)/\d+", r"\1/N"),
    (r"\b(id|queued as|trace) [0-9a-z]{12}\b", r"\1 ID"),
    (r"\b[0-9a-z]{12}(?=: )|^[0-9a-z]{12}(?= )", "ID"),
    (r"\b[A-Z][a-z][a-z] [A-Z][a-z][a-z] +\d+ [\d:]{8}\b", "TIME"),
    (r"\babout=[0-9a-z]{12}\b", "about=ID"),
    (r"\bsize=\d+", "size=N"),
    (r"\b\d+ workers?\b", "N workers"),
    (r"\b\d+ octets\b|\bS=\d+", "N octets"),
    (r"\b\d+ seconds\b", "N seconds"),
    (r"\b(pid|port)[= ]\d+", r"\1 N"),
    (r"^(worker/N|signer/N|keeper|queue|control) +\d+ +\d+ s +", r"\1 PID UP "),
    (r"\b[\d.]+ s\b", "N s"),
    (r"(?<=  )[0-9a-z]{12}$", "ID"),
    (r" {2,}", " "),
    (r"(?<=[\d\]]):[3-6]\d{4}\b", ":PORT"),
]
FENCE = re.compile(r"^(```+)(.*)$")
PROMPT = re.compile(r"^([a-z]+)?# ")
COMMENT = re.compile(r"^<!--\s*(.*?)\s*-->$", re.S)


def masked(line):
    for pattern, word in MASKS:
        line = re.sub(pattern, word, line)
    return line.rstrip()


def agrees(expected, printed):
    """Whether lines are those expected, where `...` stands for any."""
    expected, printed = [[masked(x) for x in lines]
                         for lines in (expected, printed)]
    if not expected:
        return not printed
    if expected[0] == "...":
        return any(agrees(expected[1:], printed[k:])
                   for k in range(len(printed) + 1))
    return bool(printed) and expected[0] == printed[0] and \
        agrees(expected[1:], printed[1:])


class Fault(Exception):
    pass


class Page:
    def __init__(self, path, write=False):
        self.path, self.write = Path(path), write
        self.lines = self.path.read_text().splitlines()
        self.printed = ""           # all of the consoles
        self.out = []               # the page, with what was printed
        self.done = {}              # kind -> how many
        self.ours = set()           # names of machines
        self.world = world.World()

    def follow(self):
        k = 0
        try:
            while k < len(self.lines):
                whole = len(self.out)
                k = self._step(k)
        except (Fault, AssertionError, OSError, ValueError,
                subprocess.SubprocessError) as fault:
            raise Fault(f"{self.path.name}:{k + 1}: {fault}\n"
                        f"{self.world.logs()}") from fault
        finally:
            self.world.stop()
            if self.write:
                rest = self.lines[k:]
                out = self.out if k == len(self.lines) else self.out[:whole]
                self.path.write_text("\n".join(out + rest) + "\n")

    def _step(self, k):
        line = self.lines[k]
        fence = FENCE.match(line)
        if fence:
            end = k + 1
            while self.lines[end] != fence[1]:
                end += 1
            block = self.lines[k + 1:end]
            self.out.append(line)
            if fence[2].split()[:1] == ["console"]:
                self._console(block)
            else:
                self._file(fence[2].split(), block)
                self.out += block
            self.out.append(fence[1])
            return end + 1
        if line.startswith("<!--"):
            end = k
            while "-->" not in self.lines[end]:
                end += 1
            self._aside("\n".join(self.lines[k:end + 1]))
            self.out += self.lines[k:end + 1]
            return end + 1
        self.out.append(line)
        return k + 1

    def _count(self, what):
        self.done[what] = self.done.get(what, 0) + 1

    def _file(self, words, block):
        options = dict(w.split("=", 1) for w in words[1:])
        text = "\n".join(block) + "\n"
        if "file" in options:
            path = Path("/root", options["file"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            self._count("file")
        elif "under" in options:
            path, mark = Path("/root", options["add"]), options["under"]
            before, found, after = path.read_text().partition(
                mark.replace("_", " ") + "\n")
            if not found:
                raise Fault(f"{path} has no line {mark}")
            path.write_text(before + found + text + after)
            self._count("file")
        elif "add" in options:
            with open(Path("/root", options["add"]), "a") as file:
                file.write(text)
            self._count("file")
        else:
            self._count(f"not run: {words[0] if words else 'plain'}")

    def _console(self, block):
        k = 0
        if not block or not PROMPT.match(block[0]):
            raise Fault("a console block begins with a command")
        while k < len(block):
            command = [block[k]]
            while command[-1].endswith("\\"):
                k += 1
                command.append(block[k])
            k += 1
            expected = []
            while k < len(block) and not PROMPT.match(block[k]):
                expected.append(block[k])
                k += 1
            prompt, _, words = "\n".join(command).partition("# ")
            if prompt in self.ours:
                printed = self._run(words, self.world.inside(prompt))
            elif prompt:
                with self.world.elsewhere():
                    printed = self._run(words)
            else:
                printed = self._run(words)
            self._count("command")
            self.printed += printed
            printed = printed.rstrip("\n").split("\n") if printed else []
            self.out += command
            if agrees(expected, printed):
                self.out += expected
            elif self.write:
                self.out += printed
            else:
                raise Fault("\n".join([
                    "", *command, "  prints", *map(masked, printed),
                    "  and not", *map(masked, expected)]))

    def _run(self, command, inside=(), quiet=False):
        done = subprocess.run([*inside, "bash", "-c", command], cwd="/root",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=harness.WAIT * 10)
        text = done.stdout.decode(errors="replace")
        if quiet and done.returncode:
            raise Fault(f"{command}: {done.returncode}\n{text}")
        return text

    def _aside(self, comment):
        found = COMMENT.match(comment)
        word, _, rest = found[1].partition(":")
        rest = rest.strip()
        if word == "start":
            self.world.start(*rest.split())
        elif word == "stop":
            self.world.end(*rest.split())
        elif word in self.ours:
            self._run("set -e\n" + rest, self.world.inside(word), quiet=True)
        elif word == "machine":
            name, *address = rest.split()
            self.ours.add(name)
            if address:
                self.world.machine(name, *address)
        elif word == "publish":
            text = Path("/root", rest).read_text() if rest else self.printed
            self.world.publish(re.findall(r"(?m)^\S+\. .*TXT .*$", text))
        elif word == "unpublish":
            self.world.unpublish(rest)
        elif word == "zone":
            self.world.publish([rest])
        elif word == "arrives":
            Path("/root", rest).write_bytes(self.world.arrived())
        elif word == "run":
            self._run("set -e\n" + rest, quiet=True)
        elif word == "far":
            with self.world.elsewhere():
                self._run("set -e\n" + rest, quiet=True)
        elif word.split()[:1] != ["note"]:
            raise Fault(f"what is {word!r}?")


def main(words):
    page = Page(words[-1], "--write" in words)
    try:
        page.follow()
    except Fault as fault:
        print(fault)
        return 1
    told = ", ".join(f"{n} {what}" for what, n in sorted(page.done.items()))
    print(f"{page.path.name}: {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
