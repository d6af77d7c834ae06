"""The rules of chains, as in rules.py, whose table this fills further:
recipes, custody, authors, canonical forms, times.
"""

import re

from craft import (BODY, FIELDS, T, b64, bad, first, hashes, instance,
                   record, revised, second, signature, whole)
from rules import (FOOTER, IDA, LIST, SAM, case, fields_with, k, more, on, one,
                   sub)


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
    r("long-key-at-the-top", "pass", {**FOOTER, "b" * 40: 1})
    r("too-many-lists", "permerror", {**FOOTER, "z": [[]] * 65537},
      "Message-Instance m=2 Recipe asks for more work than allowed", peer="pass")
    on("d-changed-behind-both", "fail", sub(b"High", b"high")(revised(FOOTER)),
       "Message-Instance m=2 body hash sha256 mismatch", provisional="fail")
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
    labels = {"k1._domainkey.xn--bcher-kva.example": [record("xn--bcher-kva.example")]}
    a_label = "xn--bcher-kva.example"
    u_mail = "<x@b\u00fccher.example>"
    for name, author, mf in (
            ("from", " x@b\u00fccher.example", "<x@xn--bcher-kva.example>"),
            ("from-below", " <x@a.b\u00fccher.example>", "<x@xn--bcher-kva.example>"),
            ("mf", " x@xn--bcher-kva.example", u_mail),
            ("both", " \"\u00fc\" <x@XN--BCHER-kva.example>", "<x@a.b\u00fccher.example>")):
        case(f"m1-u-label-{name}", "pass", first(
            fields_with(b"From", author.encode()), d=a_label, mf=mf),
            by=mf[1:-1], dns=labels)
    on("m1-u-label-in-custody", "pass", second(
        first(rt=[u_mail]), d=a_label, mf="<l@xn--bcher-kva.example>"),
        by="l@xn--bcher-kva.example", dns=labels)
    case("m1-another-u-label", "fail", first(
        fields_with(b"From", " x@buecher.example".encode()), d=a_label, mf=u_mail),
        "DKIM2-Signature i=1 matching From is not authentic", by=u_mail[1:-1],
        dns=labels)
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
    by("name-that-is-itself", "pass", b" mia@quay.example <mia@quay.example>")
    # Some readers would take the name for the mailbox.
    by("name-that-is-another", "fail", b" boss@bank.example <mia@quay.example>",
       peer="pass")
    by("name-that-is-nearly-itself", "fail",
       b" Mia@quay.example <mia@quay.example>", peer="pass")
    by("itself-and-another", "fail",
       b" mia@quay.example <mia@quay.example> <sam@quay.example>")
    # It takes no quoted local part for an address (RFC 5321 4.1.2 has it).
    by("quoted-local", "pass", b' "m i a"@quay.example', peer="fail")
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


# ---- V22: older drafts and other proposals -----------------------------------

def ancestors():
    def old(name, expected, message, text=None, **kw):
        case(f"V22-{name}", expected, message, text, **kw)

    bare = [f for f in FIELDS if f[0] != b"Auto-Submitted"]
    head = "Message-Instance m=1 header hash sha256 mismatch"
    # -06 did not hash it, and took tags in any case
    old("06-auto-submitted", "fail", first(h=hashes(bare, BODY)), head)
    old("06-tags-in-capitals", "permerror",
        first(edit=lambda t: [(a.upper(), v) for a, v in t]),
        "DKIM2-Signature i=1 tag=i missing")
    old("06-flags", "pass", first(f="donotmodify,donotexplode"))
    old("07-composite", "permerror", first(s=[[k(), k(
        "k2", algorithm="mldsa44-ed25519-sha512")]]),
        "DKIM2-Signature i=1 selector k2 algorithm unknown")
    old("02-signature", "permerror", [(
        b"DKIM2-Signature", b" v=1; a=rsa-sha256; d=quay.example; s=k1;"
        b" hh=AAAA; bh=AAAA; b=AAAA; mf=mia@quay.example; rt=sam@harbour.example"),
        *FIELDS], "DKIM2-Signature i=1 tag=i missing")
    # fields of other names are fields like any other
    for name in (b"DKIM2-Sig", b"DKIM2-Signature-1", b"DKIM2", b"Mailversion"):
        field = [(name, b" i=1; m=1; s=k1:x:AAAA")]
        said = name.decode().lower()
        old(f"{said}-signed", "pass", first(fields=FIELDS + field))
        old(f"{said}-added", "fail", field + first(), head)


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


recipes()
custody()
authors()
canonical()
ancestors()
times()
