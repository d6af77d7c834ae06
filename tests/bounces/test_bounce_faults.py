"""The hop that a report goes to dies at each stage, and so do we: the report is
told at least once, and its sender is never told 250 for nothing (L3)."""

import pytest

import forged
import harness
from forged import ANN
from smtptools import CLOSE, TAKEN, Client, Closed, Withhold
from test_forged import Forwarder

STAGES = ["banner", "ehlo", "mail", "rcpt", "data", "dot"]
TEMPORARY = "451 4.3.0 not now"
FOR_GOOD = "550 5.2.1 disabled"


@pytest.fixture(scope="module", params=["srs", "token"])
def forwarder(request, folder, started):
    site = started(Forwarder(folder, request.param, "hand"))
    site.number = 0
    return site


def genuine(forwarder):
    """A report of a message that goes through now, and its Message-ID."""
    forwarder.number += 1
    number = 100 + forwarder.number
    path, octets = forwarder.forward(number)
    report = forged.Forger(forged.Signer(), path, octets, []).report()
    return report, b"<%d@one.example>" % number


def told(forwarder, name):
    return [m for m in forwarder.back.mails if name in m.content]


def failing(forwarder, **answers):
    """The server of ann's answers so from now on; what it answered before."""
    before = dict(forwarder.back.answers)
    forwarder.back.answers = {**before, **answers}
    forwarder.back.hang_up()
    return before


@pytest.mark.parametrize("stage", STAGES + ["gone"])
def test_it_dies_and_comes_back(forwarder, stage):
    report, name = genuine(forwarder)
    before = failing(forwarder, **({stage: CLOSE} if stage != "gone" else {}))
    if stage == "gone":
        forwarder.back.kill()
    code, text = forwarder.told(*report)
    assert code // 100 == 4, (code, text)
    forwarder.back.answers = before
    if stage == "gone":
        forwarder.back.restart()
    assert told(forwarder, name) == []
    assert forwarder.told(*report)[0] == 250, forwarder.site.log()[-3000:]
    mail, = told(forwarder, name)
    assert (mail.mail_from, mail.rcpt_to) == ("", [ANN])
    # ... and once it was told, no more
    assert forwarder.told(*report)[0] == 250
    assert len(told(forwarder, name)) == 1


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("answer", [TEMPORARY, FOR_GOOD])
def test_its_answer_is_ours(forwarder, stage, answer):
    """One dialogue: who reports hears what the hop before says."""
    report, name = genuine(forwarder)
    before = failing(forwarder, **{stage: answer})
    code, text = forwarder.told(*report)
    forwarder.back.answers = before
    assert f"{code} {text}".startswith(answer[:9]), (code, text)
    assert told(forwarder, name) == []
    assert forwarder.told(*report)[0] == 250
    assert len(told(forwarder, name)) == 1


def test_it_dies_behind_its_dot(forwarder):
    """Nobody knows whether it has it: told again, rather than not at all."""
    report, name = genuine(forwarder)
    before = failing(forwarder, dot=TAKEN)
    assert forwarder.told(*report)[0] // 100 == 4
    forwarder.back.answers = before
    assert forwarder.told(*report)[0] == 250
    assert 1 <= len(told(forwarder, name)) <= 2


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_we_die(forwarder, stage):
    """kill -9 while the hop before has not answered yet."""
    report, name = genuine(forwarder)
    mail_from, rcpt_to, octets = report
    pause = Withhold(60, "250 2.0.0 too late" if stage != "data" else
                     "354 too late")
    before = failing(forwarder, **{stage: pause})
    n = len(forwarder.back.commands)
    word = {"mail": b"MAIL", "rcpt": b"RCPT", "data": b"DATA", "dot": b"DATA"}
    with Client(forwarder.port) as c:
        c.command(f"MAIL FROM:<{mail_from}>")
        c.send(f"RCPT TO:<{rcpt_to}>\r\n".encode())
        if stage in ("data", "dot"):
            assert c.reply()[0] == 250
            assert c.command("DATA")[0] == 354
            c.send(octets + b".\r\n")
        harness.until(lambda: any(
            line.upper().startswith(word[stage])
            for line in forwarder.back.commands[n:]), "that stage")
        forwarder.site.daemon.kill()
        pause.event.set()
        with pytest.raises(Closed):
            c.reply()
    forwarder.back.answers = before
    forwarder.site.daemon.start()
    assert forwarder.told(*report)[0] == 250, forwarder.site.log()[-3000:]
    assert 1 <= len(told(forwarder, name)) <= 2
