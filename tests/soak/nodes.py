"""Several hopsealds behind a real HAProxy (PROXY protocol) that share one
Redis server, under the clients, next hops and ledger of the soak."""

import contextlib
import os
import re
import threading
import time
import urllib.error
import urllib.request

import soak                         # first: it says where the others are
import harness
import peers
import redisserver

CONFIG = """
global
  maxconn 4000
  nbthread 1
defaults
  mode tcp
  balance roundrobin
  retries 5
  option redispatch 1
  timeout connect 1s
  timeout client 600s
  timeout server 600s
"""
OUT = r"the store redis://127\.0\.0\.1:\d+ is out: "
IN = r"the store redis://127\.0\.0\.1:\d+ answers"


def cannot_run():
    return redisserver.cannot_run() or peers.Haproxy().cannot_run()


class Balancer:
    def __init__(self, folder, nodes):
        self.ports = {m: harness.free_port() for m in soak.MODES}
        lines = [CONFIG]
        for mode, port in self.ports.items():
            lines.append(f"listen {mode}\n  bind 127.0.0.1:{port}\n")
            lines += [f"  server node{k} 127.0.0.1:{node.ports[mode][0]} "
                      "send-proxy-v2\n" for k, node in enumerate(nodes)]
        (folder / "haproxy.cfg").write_text("".join(lines))
        program = peers.Program(peers.Haproxy.packages, "usr/sbin/haproxy")
        self.process = program.start(folder, "-db", "-f",
                                     folder / "haproxy.cfg")
        harness.until(lambda: all(map(harness.listens, self.ports.values())),
                      "haproxy to listen")

    def close(self):
        peers.stop(self.process)


class Node(soak.Site):
    def page(self, path):
        try:
            with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.metrics}{path}") as page:
                return page.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.read().decode()
        except OSError:
            return ""               # it is not there

    def is_out(self):
        found = re.search(r"\nhopseal_store_out (\d)", self.page("/metrics"))
        return found is not None and found.group(1) == "1"

    def answers(self):
        return "\nhopseal_store_out 0" in self.page("/metrics")

    def kill(self):
        self.daemon.kill()

    def start(self):
        self.daemon.start()


class Cluster:
    """n nodes; load() sends mail through all of them."""

    def __init__(self, folder, n, **options):
        self.folder, self.seed = folder, int(os.environ.get("SEED") or 3)
        self.redis = redisserver.Redis(folder, **options)
        self.redis.start()
        self.nodes = []
        for k in range(n):
            (folder / f"node{k}").mkdir()
            (folder / f"node{k}").chmod(0o755)
            self.nodes.append(Node(
                folder / f"node{k}", True, self.nodes[0] if k else None,
                f"store: {self.redis.url}\nproxy: [127.0.0.1]\n"))
        self.balancer = self.ledger = None
        self.outages, self.is_over = 0, False   # seen; nobody asks any more

    def __enter__(self):
        for node in self.nodes:
            node.start()
        self.balancer = Balancer(self.folder, self.nodes)
        for node in self.nodes:
            harness.until(node.answers, "the store")
        return self

    def __exit__(self, *_):
        with contextlib.ExitStack() as all_of_them:
            for node in self.nodes:
                all_of_them.callback(node.daemon.stop)
            all_of_them.callback(self.nodes[0].dns.close)
            all_of_them.callback(self.redis.stop)
            if self.balancer:
                all_of_them.callback(self.balancer.close)
            if self.ledger:
                all_of_them.callback(self.ledger.close)

    def load(self, n, rate, leavers=10, sessions=24):
        """n messages, one of `leavers` with a client that does not wait for
        its answer and comes again through whichever node."""
        samples = self.folder / "samples"
        samples.mkdir()
        self.ledger = soak.Ledger(n, sessions, rate, self.seed, samples,
                                  self.nodes[0].modes(self.balancer.ports))
        self.ledger.ask("leavers", str(leavers))
        threading.Thread(target=self.look_for_outages, daemon=True).start()

    def look_for_outages(self):
        """What was too slow for a node is none's fault: see soak.Trouble."""
        known = [node.outages() for node in self.nodes]
        while not self.is_over:
            now = [node.outages() for node in self.nodes]
            if now != known:
                self.outages += 1
                self.ledger.ask("kill")
                self.ledger.ask("excuse", "on")
            known = now
            time.sleep(0.5)

    def sent(self, n):
        """Waits for so many new messages, or the last."""
        def is_there():
            now = self.ledger.ask("report")
            return now["numbers"] >= n or now["undrawn"] == 0
        harness.until(is_there, f"{n} messages", harness.WAIT * 4)

    @contextlib.contextmanager
    def excused(self, after=4):
        """What is under way here and shortly after may arrive twice where an
        answer is lost, and leave a list without its chain."""
        over, ledger = threading.Event(), self.ledger

        def mark():
            while not over.is_set():
                ledger.ask("kill")
                over.wait(0.3)

        ledger.ask("excuse", "on")
        marks = threading.Thread(target=mark, daemon=True)
        marks.start()
        try:
            yield
        finally:
            time.sleep(after)
            over.set()
            marks.join()
            ledger.ask("kill")
            if not self.outages:
                ledger.ask("excuse", "off")

    def judge(self):
        """Counts, `faults` among them, when all is through."""
        faults = [
            soak.wait_for(
                lambda: self.ledger.ask("report")["undrawn"] == 0,
                lambda: self.ledger.ask("report")["undrawn"], "clients", 60),
            soak.wait_for(
                lambda: self.ledger.ask("report")["busy"] == 0,
                lambda: [self.ledger.ask("report")[k]
                         for k in ("taken", "busy")], "clients", 60),
            soak.wait_for(
                lambda: sum(n.queued() for n in self.nodes) == 0,
                lambda: sum(n.queued() for n in self.nodes), "queues", 60)]
        self.is_over = True
        time.sleep(1)               # until the last look at outages is over
        got = self.ledger.ask("end")
        got["outages"] = self.outages
        faults += [f"{k}: {v}" for k, v in got.items()
                   if k.startswith("fault_") and v]
        got["samples"], bad = soak.verify_samples(self.nodes[0],
                                                  self.folder / "samples")
        got["faults"] = [f for f in faults + bad if f]
        got["lines"] = [n.daemon.log().count(": to=<") for n in self.nodes]
        got["known"] = sum(n.daemon.log().count("delivered before")
                           for n in self.nodes)
        return got
