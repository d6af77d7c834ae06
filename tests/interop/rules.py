"""One message for each way to keep or to break a rule of the draft, with
domains and keys of its own. The letters in the names are those of our reading
of the draft. `peer` is what the peer answers where it differs on purpose.
"""

import base64
import re

from craft import (BODY, FIELDS, T, Ed25519, b64, bad, first, hashes, instance,
                   key_of, record, rsa_record, second, sign_rsa,
                   signature, whole)


FOOTER = {"b": [{"c": [1, 4]}]}


def sub(old, new):
    def edit(octets):
        assert old in octets, old
        return octets.replace(old, new)
    return edit


def without(tag):
    return lambda tags: [(k, v) for k, v in tags if k != tag]


def put(tag, value):
    return lambda tags: [(k, value if k == tag else v) for k, v in tags]


def more(*extra):
    return lambda tags: tags + list(extra)


def fields_with(name, value):
    return [(n, value if n == name else v) for n, v in FIELDS]


def one(*s):
    return [list(s)]


def k(selector="k1", signer=None, algorithm="ed25519-sha256"):
    return (selector, algorithm, signer or Ed25519("quay.example"))


CASES = {}
MIA, SAM, IDA, LIST = ("mia@quay.example", "sam@harbour.example",
                       "ida@pier.example", "tides-bounces@harbour.example")


def case(name, expected, message, text=None, *, by=MIA, to=(SAM,), dns=None,
         time=T + 100, peer=None, provisional=None, command="verify"):
    """provisional: what it is judged by its last hop; peer: its answer where
    it is another."""
    assert name not in CASES
    if isinstance(message, list):
        message = whole(message, BODY)
    CASES[name] = {"expected": expected, "message": message, "text": text,
                   "by": by, "to": to, "dns": dns or {}, "time": time,
                   "peer": peer, "provisional": provisional,
                   "command": command}


def on(name, expected, message, text=None, **kw):
    """Of two hops."""
    case(name, expected, message, text, **{"by": LIST, "to": (IDA,), **kw})


def all_cases():
    tags()
    numbers()
    algorithms()
    keys()
    groups()


# ---- A: tag lists -----------------------------------------------------------

def tags():
    case("good", "pass", first())
    on("good-2", "pass", second(first()))
    syntax = "DKIM2-Signature i=1 syntax error"
    # a1, a3
    case("a1-upper-case-tags-beside", "pass",
         first(edit=more(("S", "a:b:c"), ("T", "9"), ("Mf", "x"))))
    case("a1-upper-case-instead", "permerror",
         first(edit=lambda t: [("D" if a == "d" else a, v) for a, v in t]),
         "DKIM2-Signature i=1 tag=d missing")
    case("a3-unknown-tags", "pass", first(edit=more(("x_1", "a=b:c,d|e"), ("zz", ""))))
    case("a3-unknown-in-instance", "pass",
         first(iedit=more(("q", "1"), ("R", "AAAA"))))
    case("a3-unknown-8bit", "permerror", first(wire=sub(b" d=", b" u=\xc3\xa9; d=")),
         syntax)
    case("a3-unknown-control", "permerror", first(wire=sub(b" d=", b" u=\x01; d=")),
         syntax)
    # a2
    for tag, value in (("t", str(T)), ("mf", b64("<mia@quay.example>")), ("n", "z"),
                       ("u", "")):
        case(f"a2-twice-{tag}", "permerror", first(
            n="y", edit=more(*[("u", "")] * (tag == "u"), (tag, value))), syntax)
    case("a2-instance-h-twice", "permerror",
         first(iedit=lambda t: t + [t[1]]), "Message-Instance m=1 syntax error")
    case("a2-instance-unknown-twice", "permerror",
         first(iedit=more(("q", "1"), ("q", "1"))), "Message-Instance m=1 syntax error")
    # a4
    for tag in ("mf", "rt", "s", "d", "t"):
        case(f"a4-empty-{tag}", "permerror", first(edit=put(tag, "")), syntax)
    case("a4-empty-f", "permerror", first(f=""), syntax)
    case("a4-empty-n", "pass", first(n=""))
    case("a4-empty-h", "permerror", first(iedit=put("h", "")),
         "Message-Instance m=1 syntax error")
    case("a4-empty-r", "permerror", first(iedit=more(("r", ""))),
         "Message-Instance m=1 syntax error")
    case("a4-f-first-empty", "permerror", first(f=",feedback"), syntax)
    case("a4-rt-last-empty", "permerror",
         first(edit=put("rt", b64("<sam@harbour.example>") + ",")), syntax)
    for name, s in (("bar-first", "|"), ("bar-last", None), ("two-bars", "||")):
        good = "k1:ed25519-sha256:AAAA"
        value = {"|": "|" + good, None: good + "|",
                 "||": good + "||k2:ed25519-sha256:AAAA"}[s]
        case(f"a4-s-{name}", "permerror", first(edit=put("s", value)), syntax)
    case("a4-h-bar-last", "permerror", first(h=hashes(FIELDS, BODY) + "|"),
         "Message-Instance m=1 syntax error")
    case("a4-s-no-signature", "permerror", first(edit=put("s", "k1:ed25519-sha256:")),
         syntax)
    case("a4-s-two-parts", "permerror", first(edit=put("s", "k1:ed25519-sha256")),
         syntax)
    case("a4-h-two-parts", "permerror", first(h="sha256:AAAA"),
         "Message-Instance m=1 syntax error")
    # a5
    case("a5-flag-in-capitals-is-unknown", "pass", first(f="EXPLODED,Feedback"))
    case("a5-hash-in-capitals", "permerror", first(h="SHA256:AAAA:AAAA"),
         "Message-Instance m=1 algorithm SHA256 unknown")
    case("a5-algorithm-in-capitals", "permerror",
         first(s=one(k(algorithm="ED25519-SHA256"))),
         "DKIM2-Signature i=1 selector k1 algorithm unknown")
    # a6
    case("a6-nonce-64", "pass", first(n="!" + "~" * 63))
    case("a6-nonce-65", "permerror", first(n="a" * 65), syntax)
    case("a6-nonce-blank-inside", "permerror", first(n="a b"), syntax)
    # a7
    case("a7-nd-and-rt", "permerror", first(nd="x.example", mf=None),
         "DKIM2-Signature i=1 tag=")
    case("a7-nd-and-mf", "permerror", first(nd="x.example", rt=()),
         "DKIM2-Signature i=1 tag=")
    case("a7-neither", "permerror", first(mf=None, rt=()),
         "DKIM2-Signature i=1 tag=mf missing")
    # a8
    for name, path in (("bare", "mia@quay.example"), ("open", "<mia@quay.example"),
                       ("blank", " <mia@quay.example>"), ("tail", "<mia@quay.example> "),
                       ("control", "<mi\ra@quay.example>")):
        case(f"a8-mf-{name}", "permerror", first(mf=path), syntax,
             **({"peer": "fail"} if name == "control" else {}))
    case("a8-rt-second-bare", "permerror",
         first(rt=["<sam@harbour.example>", "sam@harbour.example"]), syntax)
    latin = base64.b64encode(b"<mi\xe9@quay.example>").decode()
    case("a8-mf-latin-1", "permerror", first(edit=put("mf", latin)), syntax)
    case("a8-rt-latin-1", "permerror", first(edit=put("rt", latin)), syntax)
    case("a8-null-mf", "pass", first(mf="<>"), by="<>")
    # a9
    label = "a" * 63
    for name, domain in (("dot-last", "quay.example."), ("dot-first", ".quay.example"),
                         ("two-dots", "quay..example"), ("blank", "quay .example"),
                         ("label-64", "a" * 64 + ".example"),
                         ("254", ".".join([label] * 3 + ["a" * 60, "a"])),
                         ("at", "a@quay.example"), ("colon", "quay.example:25")):
        case(f"a9-d-{name}", "permerror", first(
            d=domain, s=one(k())), syntax)
        if name in ("dot-last", "label-64"):
            case(f"a9-nd-{name}", "permerror", first(nd=domain, mf=None, rt=()),
                 syntax)
    case("a9-selector-dot-last", "permerror", first(s=one(k("k1."))), syntax)
    case("a9-selector-64", "permerror", first(s=one(k("a" * 64))), syntax)
    case("a9-selector-slash", "permerror", first(s=one(k("k/1"))), syntax)
    case("a9-selector-of-labels", "pass", first(s=one(k("k1.a_b.c-d"))),
         dns={"k1.a_b.c-d._domainkey.quay.example": [record("quay.example")]})
    case("a9-d-capitals", "pass", first(d="QUAY.Example", s=one(k())))
    # a12
    case("a12-no-last-semicolon", "pass", first(wire=lambda v: v[:-1]))
    case("a12-instance-no-last-semicolon", "pass", whole(signature(
        [(b"Message-Instance", b"m=1;h=" + hashes(FIELDS, BODY).encode()), *FIELDS],
        1, 1, "quay.example", "<mia@quay.example>", ["<sam@harbour.example>"]), BODY))
    # o9; it skips empty tags
    case("a12-empty-tag", "permerror", first(wire=sub(b"; d=", b";; d=")), syntax,
         peer="pass")
    case("a12-semicolon-first", "permerror", first(wire=lambda v: b";" + v),
         syntax, peer="pass")
    # a13
    case("a13-white-space-everywhere", "pass", first(
        rt=["<sam@harbour.example>", "<b@c.example>"], f="feedback,exploded",
        s=[[k(), k("k2", bad)], [k("k3")]],
        wire=lambda v: re.sub(rb"([;,:|])", rb" \t\r\n \1\r\n\t ", v)))
    case("a13-around-equals", "pass", first(
        wire=lambda v: re.sub(rb" ([a-z]+)=", rb"\r\n \1 \t= \r\n ", v)))
    case("a13-inside-base64", "pass", first(
        edit=lambda t: [(a, re.sub("(.{5})", "\\1\r\n\t ", v) if a in ("mf", "rt")
                         else v) for a, v in t]))
    case("a13-blank-in-a-tag-name", "permerror", first(wire=sub(b" mf=", b" m f=")),
         syntax)
    case("a13-blank-in-a-number", "permerror", first(edit=put("t", "17950 00000")),
         syntax)
    case("a13-bare-cr", "permerror", first(wire=sub(b" d=", b"\r d=")), syntax,
         # White space to it, so it reads another signing input.
         peer="fail")
    # a14
    case("a14-reversed", "pass", first(edit=lambda t: t[::-1], iedit=lambda t: t[::-1]))
    # b16, o9
    mf = b64("<m@quay.example>")
    case("o9-no-padding", "permerror", first(edit=put("mf", mf.rstrip("="))), syntax,
         by="m@quay.example", peer="pass")
    case("o9-url-alphabet", "permerror",
         first(edit=put("mf", b64("<m??~~@quay.example>").replace("/", "_"))), syntax,
         by="m??~~@quay.example")
    case("o9-junk-inside", "permerror", first(edit=put("mf", mf[:4] + "*" + mf[4:])),
         syntax)
    case("tag-without-equals", "permerror", first(wire=sub(b" d=", b" x; d=")), syntax)
    case("tag-name-with-a-dash", "permerror", first(edit=more(("x-y", "1"))), syntax)
    case("tag-name-digit-first", "permerror", first(edit=more(("1x", "1"))), syntax)


# ---- 14.2: numbers ----------------------------------------------------------

def renumber(fields, at, tag, new):
    fields = list(fields)
    name, value = fields[at]
    fields[at] = (name, re.sub(rb" %s=\d+;" % tag, b" %s=%s;" % (tag, new), value))
    return fields


def numbers():
    two = second(first())
    on("a10-leading-zeros", "pass", second(first(i=1, edit=put("i", "0001")),
                                           edit=put("m", "01")))
    for name, value in (("plus", "+1"), ("hex", "0x1"), ("minus", "-1"),
                        ("2-32-and-1", "4294967297"), ("2-64-and-1",
                                                       "18446744073709551617"),
                        ("dot", "1.0"), ("empty", "")):
        case(f"a10-i-{name}", "permerror", first(edit=put("i", value)))
        case(f"a10-m-{name}", "permerror", first(edit=put("m", value)))
        case(f"a10-instance-m-{name}", "permerror", first(iedit=put("m", value)))
    on("i-twice", "permerror", renumber(two, 0, b"i", b"1"),
       "DKIM2-Signature i=1 syntax error")
    on("i-gap", "permerror", renumber(two, 0, b"i", b"3"),
       "DKIM2-Signature i=2 missing")
    on("no-i1", "permerror", [two[0], *two[2:]], "DKIM2-Signature i=1 missing")
    on("m-of-the-first-unreadable", "permerror", second(first(edit=put("m", "x"))),
       "DKIM2-Signature i=1 syntax error")
    case("m-of-signature-0", "permerror", first(m=0),
         "Message-Instance m=0 missing")
    case("m-of-signature-too-high", "permerror", first(m=7, edit=put("m", 7)),
         "Message-Instance m=2 missing")
    on("instance-unsigned", "permerror", whole(instance(two, BODY, 2), BODY),
       "Message-Instance m=2 is not signed")
    on("instance-gap", "permerror", whole(signature(instance(
        first(), BODY, 3), 2, 3, "harbour.example", f"<{LIST}>", [f"<{IDA}>"]), BODY),
       "Message-Instance m=2 missing")
    case("instance-twice", "permerror", whole(instance(first(), BODY, 1), BODY),
         "Message-Instance m=1 syntax error")
    # a11
    three = signature(second(instance(first(), BODY, 2), m=2), 3, 1, "pier.example",
                      f"<{IDA}>", ["<z@dock.example>"])
    case("a11-m-goes-down", "permerror", three, "DKIM2-Signature i=3 syntax error",
         by=IDA, to=("z@dock.example",))
    case("no-instance", "permerror", first()[:1] + FIELDS,
         "Message-Instance m=1 missing")
    case("no-signature", "permerror", first()[1:], "DKIM2-Signature i=1 missing")
    case("no-fields", "none", FIELDS)
    case("order-of-fields-is-free", "pass", FIELDS[:3] + first()[1:2] + FIELDS[3:] +
         first()[:1])
    case("name-in-other-case", "pass", first(name=b"dkim2-SIGNATURE "))
    chain = first()
    for i in range(2, 51):
        d = ("quay.example", "harbour.example")[i % 2 == 0]
        by, to = (MIA, SAM) if i % 2 else (SAM, MIA)
        chain = signature(chain, i, 1, d, f"<{by}>", [f"<{to}>"])
    case("I-50-hops", "pass", chain, by=SAM, to=(MIA,))
    case("I-51-hops", "permerror", signature(
        chain, 51, 1, "quay.example", f"<{MIA}>", [f"<{SAM}>"]),
         "Too many DKIM2 header fields")


# ---- B: algorithms ----------------------------------------------------------

def algorithms():
    both = hashes(FIELDS, BODY, ("sha256", "sha512"))
    case("b1-sha512", "pass", first(h=hashes(FIELDS, BODY, ("sha512",))))
    case("b1-and", "pass", first(h=both))
    case("b1-sha384-unknown", "permerror",
         first(h=hashes(FIELDS, BODY, ("sha384",))),
         "Message-Instance m=1 algorithm sha384 unknown")
    for name, algorithm in (("sha1", "rsa-sha1"), ("raw", "ed25519"), ("dash", "-")):
        case(f"b8-{name}", "permerror", first(s=one(k(algorithm=algorithm))),
             "DKIM2-Signature i=1 selector k1 algorithm unknown")
    rsa = {"r1._domainkey.quay.example": [rsa_record()]}
    case("b2-rsa", "pass", first(s=one(k("r1", sign_rsa, "rsa-sha256"))), dns=rsa)
    case("b2-rsa-changed", "fail", first(
        s=one(k("r1", lambda o: sign_rsa(o + b"x"), "rsa-sha256"))),
         "DKIM2-Signature i=1 selector r1 incorrect signature", dns=rsa)
    case("b2-rsa-cut", "fail", first(
        s=one(k("r1", lambda o: sign_rsa(o)[:-1], "rsa-sha256"))),
         "DKIM2-Signature i=1 selector r1 incorrect signature", dns=rsa)
    case("b12-rsa-key-for-ed25519", "permerror", first(s=one(k("r1"))),
         "DKIM2-Signature i=1 public key r1 algorithm mismatch", dns=rsa)
    case("b12-ed25519-key-for-rsa", "permerror",
         first(s=one(k("k1", sign_rsa, "rsa-sha256"))),
         "DKIM2-Signature i=1 public key k1 algorithm mismatch")
    # b4: over the digest, not over the input
    case("b4-signed-the-input", "fail", first(s=one(k(
        "k1", lambda o: key_of("quay.example").sign(o).signature))),
         "DKIM2-Signature i=1 selector k1 incorrect signature")
    case("ed25519-63-octets", "fail", first(s=one(k("k1", lambda o: Ed25519(
        "quay.example")(o)[:63]))), "selector k1 incorrect signature")
    case("ed25519-65-octets", "fail", first(s=one(k("k1", lambda o: Ed25519(
        "quay.example")(o) + b"x"))), "selector k1 incorrect signature")
    # b9
    eight = [[k(f"k{n}", bad)] for n in range(7)] + [[k("k9")]]
    case("b9-eight-entries", "pass", first(s=eight))
    case("b9-nine-entries", "permerror", first(s=eight + [[k("kx")]]),
         "DKIM2-Signature i=1 has more selectors than allowed")
    # b10
    case("b10-twice", "permerror", first(s=one(k(), k())), "has a duplicate selector")
    case("b10-twice-over-groups", "permerror", first(s=[[k()], [k("K1")]]),
         "has a duplicate selector")
    case("hash-twice", "permerror", first(h=hashes(FIELDS, BODY, ("sha256", "sha256"))),
         "Message-Instance m=1 has a duplicate hash algorithm")
    case("hash-twice-then-another", "permerror", first(
        h=hashes(FIELDS, BODY, ("sha256", "sha256", "sha512"))),
         "has a duplicate hash algorithm")
    case("b10-twice-then-another", "permerror", first(s=one(k(), k(), k("k2"))),
         "has a duplicate selector")
    case("hash-twice-over-groups", "permerror", first(
        h=hashes(FIELDS, BODY, ("sha256", "sha512", "sha256"), "|")),
         "has a duplicate hash algorithm")


# ---- b11-b17: key records ---------------------------------------------------

def keys():
    def key(name, expected, text, *texts, **kw):
        at = {"k1._domainkey.quay.example": list(texts)}
        case(f"key-{name}", expected, first(), text and
             f"DKIM2-Signature i=1 public key k1 {text}", dns=at, **kw)

    p = record("quay.example").split("p=")[1]
    key("no-v", "pass", None, f"k=ed25519; p={p}")
    key("v-last", "permerror", "has a syntax error", f"k=ed25519; p={p}; v=DKIM1",
        peer="pass")
    key("v-other", "permerror", "has a syntax error", f"v=DKIM2; k=ed25519; p={p}")
    key("v-lower", "permerror", "has a syntax error", f"v=dkim1; k=ed25519; p={p}",
        peer="pass")
    key("v-upper-name", "pass", None, f"V=DKIM2; k=ed25519; p={p}", peer="permerror")
    key("p-twice", "permerror", "has a syntax error", f"k=ed25519; p={p}; p={p}",
        peer="pass")
    key("p-empty-then-good", "permerror", "has a syntax error",
        f"k=ed25519; p=; p={p}", peer="pass")
    key("k-unknown", "permerror", "algorithm mismatch", f"k=ed448; p={p}")
    key("k-upper", "permerror", "algorithm mismatch", f"k=ED25519; p={p}", peer="pass")
    key("k-rsa-by-default", "permerror", "algorithm mismatch", f"p={rsa_record()[12:]}")
    key("revoked", "permerror", "has been revoked", "v=DKIM1; k=ed25519; p=")
    key("revoked-blank", "permerror", "has been revoked", "v=DKIM1; k=ed25519; p= ;")
    key("no-p", "permerror", "has a syntax error", "v=DKIM1; k=ed25519")
    key("empty", "permerror", "has a syntax error", "")
    key("31-octets", "permerror", "is malformed", f"k=ed25519; p={b64(bytes(31))}")
    key("33-octets", "permerror", "is malformed", f"k=ed25519; p={b64(bytes(33))}")
    key("no-base64", "permerror", "is malformed", f"k=ed25519; p={p[:-2]}!=")
    key("h-list-is-retired", "pass", None, f"h=sha1; k=ed25519; p={p}")
    key("s-list-is-retired", "pass", None, f"s=other; k=ed25519; p={p}")
    key("notes", "pass", None, f"n=a=b q; k=ed25519; p={p}")
    key("t-s", "pass", None, f"t=s; k=ed25519; p={p}")
    key("t-y", "pass", None, f"t=y:s; k=ed25519; p={p}")
    key("unknown-tags", "pass", None, f"zz=1; k=ed25519; p={p}; yy=;")
    key("p-folded", "pass", None, f"k=ed25519; p={p[:9]} {p[9:]}")
    key("two-the-same", "permerror", "has multiple records", *[f"k=ed25519; p={p}"] * 2)
    key("two-one-is-no-key", "permerror", "has multiple records", "v=spf1 -all",
        f"k=ed25519; p={p}")
    key("other-text", "permerror", "has a syntax error", "v=spf1 -all")
    key("no-record", "permerror", "does not exist")
    case("key-no-name", "permerror", first(s=one(k("k2"))),
         "DKIM2-Signature i=1 public key k2 does not exist",
         dns={"k2._domainkey.quay.example": None})
    case("key-temperror", "temperror", first(),
         "DKIM2-Signature i=1 public key k1 could not be fetched",
         dns={"k1._domainkey.quay.example": "TEMPERROR"})
    # h1: it is the answer only where nothing else is wrong
    on("key-temperror-and-fail", "fail", second(first(), s=one((
        "k1", "ed25519-sha256", bad))),
       "DKIM2-Signature i=2 selector k1 incorrect signature",
       dns={"k1._domainkey.quay.example": "TEMPERROR"}, provisional="fail")
    on("key-temperror-below", "temperror", second(first()),
       "DKIM2-Signature i=1 public key k1 could not be fetched",
       dns={"k1._domainkey.quay.example": "TEMPERROR"}, provisional="pass")


# ---- F: groups --------------------------------------------------------------

def groups():
    """Each member: good, fails, permerror, temperror."""
    kinds = {"g": ("k1", Ed25519("quay.example")), "f": ("k2", bad),
             "p": ("gone", bad), "t": ("late", bad)}
    dns = {"gone._domainkey.quay.example": [],
           "late._domainkey.quay.example": "TEMPERROR"}
    words = {"f": "selector k2 incorrect signature", "p": "gone does not exist",
             "t": "late could not be fetched"}
    many = "no group of signatures passed"
    for text, expected, said in (
            ("fp", "fail", words["f"]), ("pf", "fail", words["f"]),
            ("tp", "permerror", words["p"]), ("gt", "temperror", words["t"]),
            ("tf", "fail", words["f"]), ("gptf", "fail", words["f"]),
            ("f|g", "pass", None), ("p|t|f|g", "pass", None),
            ("f|p", "fail", many), ("p|f", "fail", many),
            ("p|t", "temperror", words["t"]), ("f|t", "temperror", words["t"]),
            ("fp|t", "temperror", words["t"]), ("gp|f", "fail", many),
            ("gt|p", "temperror", words["t"]), ("gp|t", "temperror", words["t"]),
            ("gf|pt", "fail", many), ("t|gf", "temperror", words["t"]),
            ("pt|gf", "fail", many)):
        s = [[k(*kinds[c]) for c in group] for group in text.split("|")]
        case(f"F-{text}", expected, first(s=s), said, dns=dns)
    good, wrong = hashes(FIELDS, BODY), hashes(FIELDS, b"x")
    long = hashes(FIELDS, BODY, ("sha512",))
    lost = "Message-Instance m=1 no group of hashes passed"
    for name, h, expected, said in (
            ("f,g", f"{wrong},{long}", "fail", "m=1 body hash sha256 mismatch"),
            ("f|g", f"{wrong}|{long}", "pass", None),
            ("g,u", f"{good},u:AA==:AA==", "permerror", "m=1 algorithm u unknown"),
            ("u,f", f"u:AA==:AA==,{wrong}", "fail", "m=1 body hash sha256 mismatch"),
            ("u|f", f"u:AA==:AA==|{wrong}", "fail", lost),
            ("u|g", f"u:AA==:AA==|{good}", "pass", None),
            ("u|v", "u:AA==:AA==|v:AA==:AA==", "permerror", "m=1 algorithm u unknown")):
        case(f"F-hash-{name}", expected, first(h=h), said)
    # 14.7: header hashes of a state come first
    case("h2-header-hash-first", "fail", first(h=hashes([], b"x")),
         "Message-Instance m=1 header hash sha256 mismatch")


all_cases()
