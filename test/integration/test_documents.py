"""The documents: what they lead to is there."""
import glob
import os
import re

import pytest
from pooler import TOP

PAGES = ["README.md", "CONTRIBUTING.md", *sorted(
    os.path.relpath(name, TOP) for name in glob.glob(f"{TOP}/docs/**/*.md", recursive=True))]


def read(page):
    with open(f"{TOP}/{page}", encoding="utf-8") as f:
        return f.read()


def prose(text):
    """Without what is shown as it is."""
    return re.sub(r"(?m)^    .*$", "", re.sub(r"(?ms)^```.*?^```", "", text))


def anchors(text):
    """Of the headings, as the forges make them."""
    heads = re.findall(r"(?m)^#+ +(.*)$", prose(text))
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "]", head).lower()).replace(" ", "-")
            for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(read(page)))
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        assert os.path.exists(f"{TOP}/{target}"), link
        assert not anchor or anchor in anchors(read(target)), link


def test_the_pages_have_links():
    assert len(PAGES) > 40
    assert sum(len(re.findall(r"\]\(", read(page))) for page in PAGES) > 100


@pytest.mark.parametrize("goal", ["systemd service", "sidecar", "PgBouncer", "shadow", "dashboards",
                                  "upgrade"])
def test_the_readme_leads_to_each_goal(goal):
    text = read("README.md")
    section = text[text.index("\n## Where to go from here"):].split("\n## ")[1]
    assert [line for line in section.splitlines() if goal in line and "](docs/" in line]
