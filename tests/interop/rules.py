"""One message for each way to keep or to break a rule of the draft, with
domains and keys of its own. The letters in the names are those of our reading
of the draft. `peer` is what the peer answers where it differs on purpose.
"""

import re

from craft import (BODY, FIELDS, T, Ed25519, b64, bad, first, hashes, instance,
                   key_of, record, revised, rsa_record, second, sign_rsa,
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
    recipes()
    custody()
    authors()
    canonical()
    times()


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


# ---- D: recipes -------------------------------------------------------------

def subject(value):
    return lambda fields: [(n, value if n == b"SUBject" else v) for n, v in fields]


def recipes():
    def r(name, expected, recipe, text=None, body=BODY + b"-- \r\nfooter\r\n",
          change=None, **kw):
        on(f"D-{name}", expected, revised(recipe, change, body), text, **kw)

    bad_recipe, bad_json = "Message-Instance m=2 Recipe ", \
        "Message-Instance m=2 contains invalid JSON"
    r("footer", "pass", FOOTER, provisional="pass")
    r("all-kinds", "pass", {"b": [{"u": [b64("High water at noon.")]}, {"c": [2, 2]},
                                  {"d": ["Low  water at six. ", "."]}]})
    r("lost-line", "fail", {"b": [{"c": [1, 3]}]},
      "Message-Instance m=1 body hash sha256 mismatch", provisional="pass")
    r("blank-lines-at-the-end-count-for-nothing", "pass",
      {"b": [{"c": [1, 4]}, {"d": ["", ""]}]})
    r("key-in-capitals", "pass", {"B": [{"C": [1, 4]}]}, peer="fail")
    r("escaped-key", "pass", r'{"\u0062":[{"\u0063":[1,4]}]}')
    r("white-space", "pass", ' \r\n{ "b"\t: [ {"c" : [ 1 , 4 ] } ] }\n ')
    r("unknown-keys-at-the-top", "pass", {**FOOTER, "z": {"a": [[[[[[1.5e3]]]]]]}})
    r("none", "fail", None, "Message-Instance m=1 body hash sha256 mismatch")
    for name, recipe in (
            ("h-null", {"h": None, **FOOTER}), ("h-list", {"h": [], **FOOTER}),
            ("h-empty", {"h": {}}), ("h-empty-beside-b", {"h": {}, **FOOTER}),
            ("empty", {}), ("empty-step", {"b": [{}]}),
            ("steps-no-list", {"b": {"c": [1, 4]}}), ("string-step", {"b": ["x"]}),
            ("two-keys", {"b": [{"c": [1, 4], "d": ["x"]}]}),
            ("unknown-step", {"b": [{"c": [1, 4]}, {"x": [1, 1]}]}),
            ("unknown-beside", {"b": [{"c": [1, 4], "x": 1}]}),
            ("c-one", {"b": [{"c": [1]}]}), ("c-three", {"b": [{"c": [1, 2, 4]}]}),
            ("c-zero", {"b": [{"c": [0, 4]}]}), ("c-down", {"b": [{"c": [4, 1]}]}),
            ("c-negative", {"b": [{"c": [-1, 4]}]}),
            ("c-fraction", '{"b":[{"c":[1.0,4]}]}'),
            ("c-exponent", '{"b":[{"c":[1e0,4]}]}'),
            ("c-string", {"b": [{"c": ["1", "4"]}]}),
            ("c-overlap", {"b": [{"c": [1, 2]}, {"c": [2, 4]}]}),
            ("c-backwards", {"b": [{"c": [3, 4]}, {"c": [1, 2]}]}),
            ("c-past-the-end", {"b": [{"c": [1, 9]}]}),
            ("c-past-64-bits", '{"b":[{"c":[1,18446744073709551617]}]}'),
            ("d-string", {"b": [{"d": "x"}]}), ("d-number", {"b": [{"d": [1]}]}),
            ("d-null", {"b": [{"d": [None]}]}),
            ("d-cr", {"b": [{"d": ["a\rb"]}]}), ("d-lf", {"b": [{"d": ["a\nb"]}]}),
            ("u-crlf", {"b": [{"u": [b64("a\r\n")]}]}),
            ("u-no-base64", {"b": [{"u": ["a!"]}]}),
            ("u-no-padding", {"b": [{"u": ["YQ"]}]}),
            ("name-colon", {"h": {"a:b": []}}), ("name-blank", {"h": {"a b": []}}),
            ("name-empty", {"h": {"": []}}), ("name-utf8", {"h": {"\u00e9": []}}),
            ("name-crlf", {"h": {"a\r\nb": []}}),
            ("name-null", {"h": {"subject": None}}),
            ("name-twice", '{"h":{"subject":[],"SUBJECT":[]}}'),
            ("name-twice-escaped", '{"h":{"subject":[],"\\u0073ubject":[]}}'),
            ("b-twice", '{"b":[{"c":[1,4]}],"b":[{"c":[1,4]}]}'),
            ("b-twice-in-case", '{"b":[{"c":[1,4]}],"B":[{"c":[1,4]}]}'),
            ("twice-below-unknown", '{"b":[{"c":[1,4]}],"z":[{"a":1,"a":1}]}'),
            ("array", "[]"), ("string", '"b"'), ("null", "null"), ("true", "true"),
            ("b-string", {"b": "x"}), ("b-false", {"b": False})):
        r(name, "permerror", recipe, bad_recipe, peer=LENIENT.get(name))
    for name, recipe in (
            ("no-json", "b"), ("cut", '{"b":[{"c":[1,4]}'), ("tail", '{"b":[]}x'),
            ("two", "{}{}"), ("comma", '{"b":[{"c":[1,4]},]}'),
            ("single-quotes", "{'b':[]}"), ("bom", b"\xef\xbb\xbf" + b'{"b":[]}'),
            ("leading-zero", '{"b":[{"c":[01,4]}]}'), ("plus", '{"b":[{"c":[+1,4]}]}'),
            ("no-utf8", b'{"b":[{"d":["\xff"]}]}'),
            ("overlong", b'{"b":[{"d":["\xc0\xaf"]}]}'),
            ("lone-surrogate", r'{"b":[{"d":["\ud800"]}]}'),
            ("raw-control", b'{"b":[{"d":["a\tb"]}]}'), ("nan", '{"b":[{"c":[NaN,4]}]}'),
            ("comment", '{/**/"b":[]}'), ("blank", " ")):
        r(name, "permerror", recipe, bad_json)
    r("null-body", "permerror", {"b": None},
      "Message-Instance m=2 has a null Recipe, earlier body hashes cannot be checked",
      peer="fail", provisional="permerror")
    on("D-r-no-base64", "permerror", revised(None, iedit=more(("r", "e30"))),
       "Message-Instance m=2 syntax error", peer="fail")
    # d4, d5, d6 on fields
    def keywords(fields):
        at = [n for n, (name, _) in enumerate(fields) if name == b"Keywords"]
        return [f for n, f in enumerate(fields) if n != at[0]] + [
            (b"keywords", b" new"), (b"List-Id", b" <t.harbour.example>")]

    r("fields", "pass", {"h": {"Keywords": [{"c": [2, 2]}, {"d": ["upper"]}],
                               "list-id": []}}, change=keywords, body=BODY)
    r("fields-from-the-top", "fail",
      {"h": {"keywords": [{"c": [1, 1]}, {"d": ["upper"]}], "list-id": []}},
      "Message-Instance m=1 header hash sha256 mismatch", change=keywords, body=BODY)
    r("field-past-the-end", "permerror",
      {"h": {"keywords": [{"c": [1, 3]}], "list-id": []}}, bad_recipe,
      change=keywords, body=BODY, peer="fail")
    r("field-left-out", "fail", {"h": {"keywords": [{"c": [2, 2]}, {"d": ["upper"]}]}},
      "Message-Instance m=1 header hash sha256 mismatch", change=keywords, body=BODY)
    r("field-latin-1", "pass", {"h": {"subject": [{"d": ["Tide table"]}]}},
      change=subject(b" \xe9\xff"), body=BODY)
    start = first(fields=fields_with(b"SUBject", b" a \xe9"))
    on("D-octets", "pass", revised({"h": {"subject": [{"u": [b64(b"a  \xe9 ")]}]}},
                                   subject(b" b"), BODY, start=start))
    r("unsigned-field", "pass", {"h": {"x-mailer": [], "received": [{"d": ["z"]}]}},
      body=BODY)
    r("same-again", "pass", {"h": {"subject": [{"c": [1, 1]}]}, "b": [{"c": [1, 4]}]},
      body=BODY)
    empty = first(body=b"")
    on("D-body-was-empty", "pass", revised({"b": []}, start=empty))
    on("D-body-is-empty-now", "pass", revised(
        {"b": [{"d": BODY.decode().split("\r\n")[:-1]}]}, body=b""))
    case("d13-recipe-at-m1", "pass", first(recipe={"b": [{"d": ["x"]}]}))
    case("d13-bad-recipe-at-m1", "permerror", first(recipe="{"),
         "Message-Instance m=1 contains invalid JSON")
    on("d14-second-without-recipe", "pass", revised(None, body=BODY))
    # d16: two recipes, undone one behind the other
    fields = first()
    body = BODY + b"-- \r\nfooter\r\n"
    fields = second(instance(fields, body, 2, FOOTER), m=2)
    fields = [(n, b" [L] Tide table" if n == b"SUBject" else v) for n, v in fields]
    top = instance(fields, b"top\r\n" + body, 3,
                   {"h": {"subject": [{"d": ["Tide table"]}]}, "b": [{"c": [2, 7]}]})
    three = signature(top, 3, 3, "pier.example", f"<{IDA}>", ["<z@dock.example>"])
    case("d16-two", "pass", whole(three, b"top\r\n" + body), by=IDA,
         to=("z@dock.example",))
    # a last line without an end gets one
    on("D-last-line-unended", "pass", revised(
        {"b": [{"c": [1, 4]}]}, body=BODY + b"x"))


# What the peer answers to recipes outside the schema (d9): it clamps or skips,
# looks at keys of its own alone, and reads base64 without padding.
LENIENT = {
    "h-empty": "fail", "h-empty-beside-b": "pass", "empty": "fail",
    "empty-step": "fail", "string-step": "fail", "unknown-step": "pass",
    "unknown-beside": "pass", "c-three": "fail", "c-zero": "pass",
    "c-down": "fail", "c-overlap": "pass", "c-backwards": "fail",
    "c-past-the-end": "fail", "u-no-padding": "fail", "b-twice-in-case": "pass",
    "twice-below-unknown": "pass",
}


# ---- G, h4: custody and envelope ---------------------------------------------

def custody():
    def hop2(name, expected, text=None, by=LIST, to=(IDA,), **kw):
        more_kw = {n: kw.pop(n) for n in ("dns", "peer", "provisional", "rt1")
                   if n in kw}
        rt1 = more_kw.pop("rt1", ["<sam@harbour.example>"])
        on(f"g6-{name}", expected, second(first(rt=rt1), **kw), text, by=by, to=to,
           **more_kw)

    lost = "DKIM2-Signature i=2 mf= does not match the rt= of i=1"
    hop2("mf-below", "pass", mf="<x@a.b.harbour.example>", by="x@a.b.harbour.example")
    hop2("mf-above", "fail", lost, rt1=["<sam@a.harbour.example>"], provisional="pass")
    hop2("mf-beside", "fail", lost, rt1=["<sam@xharbour.example>"])
    hop2("mf-second-rt", "pass", rt1=["<a@b.example>", "<sam@harbour.example>"])
    hop2("rt-literal", "fail", lost, rt1=["<sam@[192.0.2.1]>"])
    hop2("mf-case", "pass", mf="<x@HARBOUR.example>", by="x@harbour.EXAMPLE")
    hop2("null-mf", "pass", mf="<>", by="<>")
    hop2("null-mf-rt-below-d", "pass", mf="<>", by="<>",
         rt1=["<sam@a.harbour.example>"])
    hop2("null-mf-rt-above-d", "fail",
         "DKIM2-Signature i=2 d= does not match the rt= of i=1", mf="<>", by="<>",
         d="a.harbour.example", rt1=["<sam@harbour.example>"],
         dns={"k1._domainkey.a.harbour.example": [record("a.harbour.example")]})
    hop2("d-above-mf", "pass", mf="<x@a.harbour.example>", by="x@a.harbour.example",
         rt1=["<sam@a.harbour.example>"])
    hop2("d-below-mf", "fail", "DKIM2-Signature i=2 MAIL FROM and d= do not match",
         d="a.harbour.example",
         dns={"k1._domainkey.a.harbour.example": [record("a.harbour.example")]},
         provisional="fail")
    hop2("mf-other-than-d", "fail",
         "DKIM2-Signature i=2 MAIL FROM and d= do not match",
         mf="<x@pier.example>", by="x@pier.example")
    hop2("mf-without-domain", "fail",
         "DKIM2-Signature i=2 MAIL FROM and d= do not match", mf="<postmaster>",
         by="postmaster")
    # g7, o5: imaginary hops
    via = signature(first(), 2, 1, "harbour.example", nd="tides.example")
    good = signature(via, 3, 1, "tides.example", "<x@tides.example>", [f"<{IDA}>"])
    on("g7-imaginary", "pass", good, by="x@tides.example")
    on("g7-case", "pass", signature(
        signature(first(), 2, 1, "harbour.example", nd="TIDES.example"), 3, 1,
        "tides.example", "<x@tides.example>", [f"<{IDA}>"]), by="x@tides.example")
    on("g7-other", "fail", signature(via, 3, 1, "pier.example", "<x@pier.example>",
                                     [f"<{IDA}>"]),
       "DKIM2-Signature i=3 nd= does not match", by="x@pier.example")
    on("g7-below", "fail", signature(
        via, 3, 1, "a.tides.example", "<x@a.tides.example>", [f"<{IDA}>"]),
       "DKIM2-Signature i=3 nd= does not match", by="x@a.tides.example",
       dns={"k1._domainkey.a.tides.example": [record("a.tides.example")]})
    on("g7-nd-not-of-rt", "fail", signature(
        signature(first(), 2, 1, "pier.example", nd="tides.example"), 3, 1,
        "tides.example", "<x@tides.example>", [f"<{IDA}>"]),
       "DKIM2-Signature i=2 d= does not match the rt= of i=1", by="x@tides.example")
    on("g8-nd-on-top", "fail", via, "DKIM2-Signature i=2 unexpected nd= tag",
       provisional="fail")
    # h4
    fail = "DKIM2-Signature i=1 "
    case("h4-mail-from-domain-case", "pass", first(), by="mia@QUAY.example")
    case("h4-mail-from-local-case", "fail", first(), fail + "MAIL FROM ",
         by="Mia@quay.example", provisional="fail")
    case("h4-mail-from-below", "fail", first(), fail + "MAIL FROM ",
         by="mia@a.quay.example")
    case("h4-quoted-is-another", "fail", first(), fail + "MAIL FROM ",
         by='"mia"@quay.example')
    case("h4-rcpt-one-of-two-missing", "fail", first(), fail + "RCPT TO ",
         to=(SAM, IDA), provisional="fail")
    case("h4-rcpt-domain-case", "pass", first(), to=("sam@Harbour.EXAMPLE",))
    case("h4-rcpt-fewer", "pass", first(rt=[f"<{IDA}>", f"<{SAM}>"]))
    case("h4-rcpt-twice", "pass", first(), to=(SAM, SAM))
    case("m1-u-label", "pass", first(rt=["<x@xn--bcher-kva.example>"]),
         to=("x@b\u00fccher.example",))
    case("m1-utf8-local", "pass", first(rt=["<j\u00f6rg@harbour.example>"]),
         to=("j\u00f6rg@harbour.example",))
    case("quoted-local-with-an-at", "pass", first(rt=['<"a@b"@harbour.example>']),
         to=('"a@b"@harbour.example',))
    # N
    case("N-exploded-on-1", "pass", first(f="exploded"))
    case("N-old-and-unknown", "pass", first(f="donotmodify, zork ,feedhere,feedhere"))
    case("N-flag-with-a-dot", "permerror", first(f="a.b"),
         "DKIM2-Signature i=1 syntax error")


# ---- g9, 14.8: authors ------------------------------------------------------

def authors():
    no = "DKIM2-Signature i=1 matching From is not authentic"

    def by(name, expected, value, **kw):
        case(f"g9-{name}", expected, first(fields_with(b"From", value)),
             no if expected == "fail" else None, provisional="pass", **kw)

    by("bare", "pass", b" mia@quay.example")
    by("below", "pass", b" <mia@a.b.quay.example>")
    by("above", "fail", b" <mia@example>")
    by("beside", "fail", b" <mia@xquay.example>")
    by("case", "pass", b" <mia@QUAY.EXAMPLE>")
    by("two", "fail", b" mia@quay.example, sam@quay.example")
    by("group", "fail", b" tides: mia@quay.example;")
    by("empty-group", "fail", b" tides:;")
    by("empty", "fail", b"")
    by("literal", "fail", b" mia@[192.0.2.1]")
    by("dot-last", "fail", b" mia@quay.example.")
    by("no-domain", "fail", b" mia")
    by("name-that-is-an-address", "pass", b' "boss@bank.example" <mia@quay.example>')
    by("name-that-is-ours", "fail", b' "mia@quay.example" <boss@bank.example>')
    by("comment", "pass", b" mia@quay.example (at (the) sea)")
    by("comment-that-lies", "fail", b" boss@bank.example (mia@quay.example)")
    by("folded", "pass", b"\r\n Mia\r\n\t<mia@quay.example>\r\n ")
    by("two-angles", "fail", b" <boss@bank.example> <mia@quay.example>")
    by("encoded-word", "pass", b" =?utf-8?q?=3Cboss=40bank.example=3E?= <mia@quay.example>")
    case("g9-none", "fail", first([f for f in FIELDS if f[0] != b"From"]), no)
    case("g9-twice", "fail", first(FIELDS + [(b"from", b" mia@quay.example")]), no)
    case("g9-resent-from-is-another-field", "pass",
         first(FIELDS + [(b"Resent-From", b" x@y.example")]))
    # a state's From answers to the first signature that covers it
    def rewritten(value):
        return lambda fields: [(n, value if n == b"From" else v) for n, v in fields]

    old = {"h": {"from": [{"d": ["Mia Quay <mia@quay.example>"]}]}}
    on("g9-rewritten", "pass", revised(old, rewritten(b" t@harbour.example"), BODY))
    on("g9-rewritten-to-another", "fail",
       revised(old, rewritten(b" t@pier.example"), BODY),
       "DKIM2-Signature i=2 matching From is not authentic", provisional="pass")
    on("g9-kept-under-another-name", "fail",
       revised({"h": {"FROM": [{"c": [1, 1]}]}}, None, BODY),
       "DKIM2-Signature i=2 matching From is not authentic")
    on("g9-untouched-needs-no-match", "pass", revised(FOOTER))


# ---- C, E: canonical forms --------------------------------------------------

def canonical():
    good = first()

    def after(name, expected, change, text=None, **kw):
        octets = change(whole(good, BODY))
        assert octets != whole(good, BODY)
        case(f"E-{name}", expected, octets, text, **kw)

    head = "Message-Instance m=1 header hash sha256 mismatch"
    body = "Message-Instance m=1 body hash sha256 mismatch"
    for name in ("Apparently-To", "ARC-Seal", "ARC-Message-Signature", "DKIM-Signature",
                 "ARC-Authentication-Results", "Authentication-Results", "Delivered-To",
                 "DL-Expansion-History", "Original-Recipient", "received",
                 "Received-SPF", "Received-", "RETURN-PATH", "SIO-Label-History",
                 "X-", "x-a", "X400-Received", "X400-Trace"):
        after(f"unsigned-{name}", "pass", lambda o, n=name: n.encode() + b": z\r\n" + o)
    for name in ("Auto-Submitted", "VBR-Info", "Receivedx", "X", "X400-Content-Type",
                 "Resent-To", "List-Id", "DKIM2-Sig", "Message-Instances", "Xa-b",
                 "Delivered-To-", "ARC-Seal2", "Sender"):
        after(f"signed-{name}", "fail", lambda o, n=name: n.encode() + b": z\r\n" + o,
              head, provisional="fail")
    after("refolded", "pass", sub(b"Tide\r\n\ttable \t", b"\r\n  Tide   table\r\n "))
    after("fold-without-blank", "fail", sub(b"Tide\r\n\ttable", b"Tidetable"), head)
    after("name-case", "pass", sub(b"SUBject", b"subJECT"))
    after("blank-before-colon", "pass", sub(b"SUBject:", b"SUBject \t:"))
    after("no-blank-behind-colon", "pass", sub(b"To: sam", b"To:sam"))
    after("fields-of-other-names-swapped", "pass", lambda o: o.replace(
        b"X-Mailer: none\r\n", b"").replace(b"From: Mia", b"X-Mailer: none\r\nFrom: Mia"))
    after("same-names-swapped", "fail", lambda o: o.replace(
        b" upper", b" 1").replace(b" lower", b" upper").replace(b" 1", b" lower"), head)
    after("same-name-doubled", "fail", sub(b"To: sam", b"To: sam@harbour.example\r\nTo: sam"),
          head)
    after("empty-field-added", "fail", sub(b"To: sam", b"Cc:\r\nTo: sam"), head)
    after("blank-lines-at-the-end", "pass", lambda o: o + b"\r\n\r\n\r\n")
    after("no-last-crlf", "pass", lambda o: o[:-2])
    after("white-space-line-at-the-end", "fail", lambda o: o + b" \r\n", body)
    after("white-space-at-a-line-end", "fail", sub(b"six. \r\n", b"six.\r\n"), body)
    after("white-space-inside", "fail", sub(b"Low  water", b"Low water"), body)
    after("blank-line-at-the-start", "fail", sub(b"\r\n\r\nHigh", b"\r\n\r\n\r\nHigh"),
          body)
    after("dot-line-lost", "fail", lambda o: o[:-3], body)
    after("our-fields-refolded", "pass", lambda o: re.sub(
        rb"(s=k1:ed25519-sha256:.{20})", rb"\1\r\n\t", o))
    after("our-tag-reordered", "fail", sub(b" i=1; m=1;", b" m=1; i=1;"),
          "DKIM2-Signature i=1 selector k1 incorrect signature")
    after("our-last-semicolon-lost", "fail",
          lambda o: re.sub(rb"==;\r\nMessage", b"==\r\nMessage", o),
          "DKIM2-Signature i=1 selector k1 incorrect signature")
    after("our-zero-added", "fail", sub(b"i=1;", b"i=01;"),
          "DKIM2-Signature i=1 selector k1 incorrect signature")
    after("our-d-case", "fail", sub(b"d=quay", b"d=Quay"),
          "DKIM2-Signature i=1 selector k1 incorrect signature")
    # the whole body counts, and only the body
    for name, octets in (("empty", b""), ("crlf", b"\r\n"), ("nul", b"a\0b\r\n"),
                         ("8bit", bytes(range(128, 256)) + b"\r\n"),
                         ("long-line", b"x" * 70000 + b"\r\n")):
        case(f"E-body-{name}", "pass", whole(first(body=octets), octets))
    case("E-header-only", "pass", whole(first(body=b""), b"")[:-2])
    # 12.8: blanked is what stands behind the second colon, in s= alone
    case("E-s-of-other-tags", "pass", first(edit=more(("ss", "a:b:c"), ("xs", "a:b:c"))))
    case("E-colon-behind-the-signature", "permerror", first(
        s=one(k(signer="AAAA:BBBB"))), "DKIM2-Signature i=1 syntax error")
    # of earlier signatures the values are signed too
    two = whole(second(first(s=[[k()], [k("k2", bad)]])), BODY)
    on("E-value-below-changed", "fail", re.sub(rb"k2:ed25519-sha256:A", rb"k2:ed25519-sha256:B",
                                               two),
       "DKIM2-Signature i=2 selector k1 incorrect signature")
    on("E-instance-below-changed", "fail", re.sub(rb"(Message-Instance: m=1;)", rb"\1 q=;", two),
       "DKIM2-Signature i=1 no group of signatures passed")


# ---- I: times ---------------------------------------------------------------

def times():
    day = 86400
    old, new = "DKIM2-Signature i=1 signature expired", \
        "DKIM2-Signature i=1 signature is from the future"
    case("I-14-days", "pass", first(), time=T + 14 * day)
    case("I-14-days-and-1", "fail", first(), old, time=T + 14 * day + 1,
         provisional="fail")
    case("I-1-day-ahead", "pass", first(), time=T - day)
    case("I-1-day-and-1-ahead", "fail", first(), new, time=T - day - 1)
    case("I-0", "fail", first(t=0), old)
    case("I-2-40", "fail", first(t=1 << 40), new)
    case("I-2-63", "permerror", first(t=1 << 63), None, peer="fail")
    case("I-2-64", "permerror", first(t=1 << 64), "DKIM2-Signature i=1 syntax error")
    case("I-negative", "permerror", first(t=-1), "DKIM2-Signature i=1 syntax error")
    case("I-fraction", "permerror", first(t="1795000000.0"),
         "DKIM2-Signature i=1 syntax error")
    on("I-only-the-first-expired", "fail", second(first(t=T - 14 * day)), old,
       provisional="fail")
    on("I-goes-back", "pass", second(first(), t=T - 1000))


all_cases()
