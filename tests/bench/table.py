"""The arithmetic of relay.py: what runs say together, ratios, aims. Pure."""

from statistics import median

# A run, as a dict: accepted, errors, lost, rate (messages a second), cpu_ms (a
# message), p50 p99 max (ms from MAIL, or the connection, to the last 250),
# way_p50 way_p99 (ms until the sink had it), mb. errors: of the client; lost,
# extra, unlike: what was accepted and did not arrive, came twice, or without
# the signatures that were due.
FIGURES = ("rate", "cpu_ms", "p50", "p99", "max", "way_p50", "way_p99", "mb")
FAULTS = ("errors", "lost", "extra", "unlike")


def percentile(values, percent):
    """The value that so many per cent do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) * percent // 100] if ordered else 0


def summary(runs):
    """Medians of the runs of one relay in one case; what went wrong is added
    up. spread: (most - least) / median of the rates."""
    row = {name: median(run[name] for run in runs) for name in FIGURES}
    rates = [run["rate"] for run in runs]
    row["spread"] = (max(rates) - min(rates)) / row["rate"] \
        if row["rate"] else 0
    row["faults"] = sum(run[name] for run in runs for name in FAULTS)
    return row


def ratio(a, b):
    """None where there is nothing to compare with."""
    return a / b if a is not None and b else None


# name, case, what it is measured with, at most or at least, the aim.
# ("rate", RELAY, OTHER): a ratio of rates; ("cpu", RELAY): ms a message;
# ("p50"|"p99", RELAY): ms added to direct's p50; ("fact", NAME): of `facts`.
CASES = ("4k", "40k", "1m", "one")


def _row(relay, *columns):
    """A line of the issue's table: one (kind, direction, four aims) each."""
    for (kind, *rest), sign, aims in columns:
        for case, aim in zip(CASES, aims):
            yield f"{relay} {kind} {' '.join(rest)}".strip(), case, \
                (kind, relay, *rest), sign, aim


AIMS = [
    *_row("sign-rsa", (("rate", "direct"), ">=", (.14, .19, .28, .30)),
          (("rate", "opendkim-sign"), ">=", (14, 13, 7, 9)),
          (("cpu",), "<=", (.34, .40, 1.9, .48))),
    *_row("sign-ed25519", (("rate", "direct"), ">=", (.28, .33, .30, .33)),
          (("rate", "opendkim-sign"), ">=", (25, 24, 8, 10)),
          (("cpu",), "<=", (.13, .19, 1.6, .26))),
    *_row("sign-both", (("rate", "sign-rsa"), ">=", (.88, .9, .95, .9))),
    *_row("verify", (("rate", "direct"), ">=", (.33, .33, .30, .32)),
          (("rate", "opendkim-verify"), ">=", (17, 17, 8, 9))),
    *_row("chain-5", (("rate", "direct"), ">=", (.12, .17, .24, .25))),
    *_row("pass", (("rate", "direct"), ">=", (.40, .45, .45, .40)),
          (("rate", "haproxy"), ">=", (.85, .8, .85, .85))),
    ("sign-rsa: bare signatures", "4k", ("fact", "bare"), "<=", 1.45),
    ("sign-rsa: added p50 ms", "alone", ("p50", "sign-rsa"), "<=", .45),
    ("sign-rsa: added p99 ms", "alone", ("p99", "sign-rsa"), "<=", 1),
    ("sign-ed25519: added p50 ms", "alone", ("p50", "sign-ed25519"), "<=", .25),
    ("longest p99 ms of ours", "alone", ("fact", "stall"), "<=", 40),
    ("idle session, KiB", "", ("fact", "idle"), "<=", 4),
    ("idle session under TLS, KiB", "", ("fact", "idle_tls"), "<=", 16),
    ("a worker at rest, MiB", "", ("fact", "rest"), "<=", 8),
    ("under load, x octets in flight", "1m", ("fact", "flight"), "<=", 1.2),
]


def value_of(what, case, rows, facts):
    """rows: {(case, relay): summary}. None where it was not measured."""
    kind, name, *other = what
    if kind == "fact":
        return facts.get(name)
    row = rows.get((case, name))
    if row is None or not row["rate"]:
        return None
    if kind == "cpu":
        return row["cpu_ms"]
    base = rows.get((case, other[0] if other else "direct"))
    if base is None:
        return None
    return ratio(row["rate"], base["rate"]) if kind == "rate" \
        else row[kind] - base["p50"]


def judge(rows, facts):
    """Of each aim: (name, case, value or None, sign, aim, met)."""
    out = []
    for name, case, what, sign, aim in AIMS:
        value = value_of(what, case, rows, facts)
        met = value is not None and (value >= aim if sign == ">="
                                     else value <= aim)
        out.append((name, case, value, sign, aim, met))
    return out


def last_line(judged):
    """`aims met: N of M`, of those that were measured."""
    measured = [j for j in judged if j[2] is not None]
    line = f"aims met: {sum(j[5] for j in measured)} of {len(measured)}"
    left = len(judged) - len(measured)
    return line + (f" ({left} not measured)" if left else "")
