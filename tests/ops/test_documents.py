"""Manual pages and the sample: clean, of one piece with the table of
directives, and true of the programs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import harness

ROOT = Path(__file__).resolve().parents[2]
B = ROOT / os.environ.get("B", "build")
PAGES = sorted((ROOT / "docs" / "man").glob("*.[1-8]"))


def run(*command, code=0, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True,
                          text=True, **more)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The pages and the sample as they are installed."""
    harness.make("man")
    folder = tmp_path_factory.mktemp("man")
    for page in PAGES:
        ours = B / "man" / page.name
        shutil.copy(ours if ours.exists() else page, folder)
    shutil.copy(B / "man" / "hopseal.yaml", folder)
    return folder


@pytest.mark.parametrize("page", [p.name for p in PAGES])
def test_a_page_is_clean(made, page):
    if shutil.which("mandoc") is None:
        if os.environ.get("CI"):
            pytest.fail("mandoc is not installed")
        pytest.skip("mandoc is not installed")
    done = subprocess.run(["mandoc", "-Tlint", made / page],
                          capture_output=True, text=True)
    for line in done.stdout.splitlines():
        # It looks for pages that are installed; ours are beside this one.
        other = re.search(r"referenced manual not found: Xr (\S+) (\d)", line)
        assert other and (made / f"{other[1]}.{other[2]}").exists(), line


def test_the_page_has_what_the_table_has(made):
    directives = run(B / "hopseal", "config", "manual")
    page = (made / "hopseal.yaml.5").read_text()
    assert directives in page and "@DIRECTIVES@" not in page
    assert len(re.findall(r"^\.It Ic ", directives, re.M)) > 70


def test_the_page_has_the_metrics_of_the_table(made):
    told = run(B / "hopseald", "--metrics")
    page = (made / "hopseald.8").read_text()
    assert told in page and "@METRICS@" not in page
    assert len(re.findall(r"^\.It Va hopseal_", told, re.M)) > 25


def test_pages_name_real_directives(made):
    """Words of configuration in running text are directives, of one
    spelling with the table."""
    known = set(re.findall(r"^\.It Ic (\S+) :",
                           run(B / "hopseal", "config", "manual"), re.M))
    for page in ("hopseal.yaml.5", "hopseal-tables.5", "hopseald.8"):
        text = (made / page).read_text()
        for word in re.findall(r"^\.Ic (\S+)", text, re.M):
            assert word in known, f"{page}: {word}"


def test_the_verbs_of_the_page_are_those_of_the_program(made):
    text = (made / "hopseal.1").read_text()
    page = list(dict.fromkeys(re.findall(r"^\.It Cm (\S+)", text, re.M)))
    told = re.findall(r"^  (\S+)  +\S", run(B / "hopseal", "help"), re.M)
    assert page == [verb for verb in told if verb != "help"]


def test_the_sample_starts(made):
    said = run(B / "hopseald", "-t", "-c", made / "hopseal.yaml")
    assert "configuration is good" in said


def test_a_dump_is_a_configuration_of_the_same(made, tmp_path):
    first = run(B / "hopseal", "config", "dump", "-c", made / "hopseal.yaml")
    again = tmp_path / "again.yaml"
    again.write_text(first)
    assert run(B / "hopseal", "config", "dump", "-c", again) == first
    again.write_text(first.replace("verify: observe", "verify: obsrve"))
    run(B / "hopseal", "config", "dump", "-c", again, code=78)


def test_wrong_words_of_config_are_told():
    run(B / "hopseal", "config", code=64)
    run(B / "hopseal", "config", "dmup", code=64)
    run(B / "hopseal", "config", "sample", "-c", "x", code=64)
    run(B / "hopseal", "config", "dump", "-c", "/nowhere/x.yaml", code=78)
