"""The guide, word for word: each page is followed on a machine of its own, and
what is printed there has to be what stands in the page."""

import concurrent.futures
import itertools
import os
import re
import shlex
import subprocess

import pytest

import harness
import machine
from conftest import missing

GUIDE = harness.ROOT / "docs" / "guide"
PAGES = sorted(GUIDE.glob("*.md"))
EXAMPLES = harness.ROOT / "config" / "examples"
# A page for each deployment, and the file that it shows.
DEPLOYMENTS = {"inbound.md": "1-inbound.yaml", "egress.md": "2-egress.yaml",
               "forward.md": "3-forward.yaml", "list.md": "4-list.yaml",
               "appliance.md": "5-appliance.yaml"}
SLOW = {"list.md": "Mailman takes longer to start than all other pages together"}


@pytest.fixture(scope="module")
def ready():
    why = machine.cannot_run()
    if why:
        # a kernel's word, which no package changes: no failure in CI either
        pytest.skip(f"no machine of its own can be had here: {why}")
    why = machine.prepare()
    if why:
        missing(why)


def runs(page):
    return "```console" in page.read_text()


FOLLOWED = [p.name for p in PAGES if runs(p)]


@pytest.fixture(scope="module")
def results(ready, request):
    """What became of each page: two are under way at a time, since each waits
    for servers most of its time."""
    chosen = [item.callspec.params["page"] for item in request.session.items
              if item.originalname == "test_a_page_is_followed"]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield {page: pool.submit(follow, page) for page in chosen
               if why_not(page) is None}


def follow(page):
    return subprocess.run(
        machine.command("/usr/bin/python3", machine.HERE / "page.py",
                        GUIDE / page), capture_output=True, text=True)


def why_not(page):
    return None if os.environ.get("LONG") else SLOW.get(page)


@pytest.mark.parametrize("page", FOLLOWED)
def test_a_page_is_followed(results, page):
    if why_not(page):
        pytest.skip(f"with LONG=1: {why_not(page)}")
    done = results[page].result()
    assert done.returncode == 0, done.stdout + done.stderr


def blocks(page, kind):
    """The blocks of a page whose first word is kind: (rest, text)."""
    found = re.findall(r"(?ms)^```(\w+)(.*?)\n(.*?)^```$", page.read_text())
    return [(rest.split(), text) for word, rest, text in found if word == kind]


@pytest.mark.parametrize("page", DEPLOYMENTS)
def test_a_deployment_shows_the_whole_example(page):
    example = (EXAMPLES / DEPLOYMENTS[page]).read_text()
    shown = [text for rest, text in blocks(GUIDE / page, "yaml")
             if rest == ["file=/etc/hopseal/hopseal.yaml"]]
    assert shown[0] == example


def test_every_example_has_its_page():
    assert sorted(DEPLOYMENTS.values()) == \
        sorted(p.name for p in EXAMPLES.glob("*.yaml"))


def test_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in link or (GUIDE / link).exists(), f"{page.name}: {link}"


def test_every_configuration_is_tried():
    """What a reader copies is a file of the machine, or added to one; only
    diagrams and records of the DNS (text) and Exchange's lines are not."""
    for page in PAGES:
        for kind, rest in re.findall(r"(?m)^```(\w+)(.*)$", page.read_text()):
            assert kind in ("text", "console", "powershell") or \
                re.search(r" (file|add)=", rest), f"{page.name}: {kind}"


def test_what_is_not_run_is_said_to_be():
    """Exchange can not be had; the words before its lines say so."""
    found = 0
    for page in PAGES:
        for before in page.read_text().split("```powershell\n")[:-1]:
            said = " ".join(before.rstrip().split("\n\n")[-1].split())
            assert "that no test runs" in said, f"{page.name}: {said}"
            found += 1
    assert found


# What Exchange's cmdlets take, of what the guide uses; from their reference.
ADDRESS = r"\d+\.\d+\.\d+\.\d+"
TRUTH = r"\$(true|false)"
CMDLETS = {
    "New-SendConnector": {
        "Name": ".+", "Usage": "Custom|Internal|Internet|Partner",
        "AddressSpaces": r"(SMTP:)?[\w.*-]+(;\d+)?",
        "DNSRoutingEnabled": TRUTH, "SmartHosts": ADDRESS, "Port": r"\d+",
        "SmartHostAuthMechanism": "None|BasicAuth|BasicAuthRequireTLS|"
                                  "ExchangeServer|ExternalAuthoritative",
        "ProtocolLoggingLevel": "None|Verbose"},
    "New-ReceiveConnector": {
        "Name": ".+", "TransportRole": "HubTransport|FrontendTransport",
        "Bindings": ADDRESS + r":\d+", "RemoteIPRanges": ADDRESS,
        "PermissionGroups": "None|AnonymousUsers|ExchangeUsers|"
                            "ExchangeServers|ExchangeLegacyServers|Partners",
        "ProtocolLoggingLevel": "None|Verbose"}}
NEEDED = {"New-SendConnector": {"Name", "AddressSpaces"},
          "New-ReceiveConnector": {"Name", "Bindings", "RemoteIPRanges"}}


def faults_of(command):
    """What Exchange would not take of a command, as far as CMDLETS says."""
    cmdlet, *words = shlex.split(command.replace("`\n", ""), posix=True)
    takes = CMDLETS.get(cmdlet)
    if takes is None:
        return [f"no cmdlet {cmdlet}"]
    names, values = words[::2], words[1::2]
    faults = [f"{cmdlet} {n} {v}" for n, v in
              itertools.zip_longest(names, values, fillvalue="")
              if not n.startswith("-") or n[1:] not in takes
              or not re.fullmatch(takes[n[1:]], v)]
    given = [n[1:] for n in names]
    faults += [f"{cmdlet} lacks -{n}" for n in NEEDED[cmdlet] - set(given)]
    return faults + [f"{n} twice" for n in set(given) if given.count(n) > 1]


def test_what_is_for_exchange_is_as_exchange_spells_it():
    commands = [(page.name, command) for page in PAGES
                for _, text in blocks(page, "powershell")
                for command in re.split(r"(?<!`)\n", text.rstrip("\n"))]
    assert {c.split()[0] for _, c in commands} == set(CMDLETS)
    for page, command in commands:
        assert faults_of(command) == [], page


@pytest.mark.parametrize("command", [
    "New-Connector -Name x",
    "New-SendConnector -Name x",
    "New-SendConnector -Name x -AddressSpaces * -SmartHost 192.0.2.1",
    "New-SendConnector -Name x -AddressSpaces * -DNSRoutingEnabled false",
    "New-SendConnector -Name x -AddressSpaces * -Port",
    "New-SendConnector -Name x -AddressSpaces * -Name y",
    "New-SendConnector -Name x `\n -AddressSpaces * \\\n -Port 25"])
def test_a_slip_of_the_pen_is_seen(command):
    assert faults_of("New-SendConnector -Name x -AddressSpaces *") == []
    assert faults_of(command) != []
