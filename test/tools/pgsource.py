"""PostgreSQL's source, from Debian's source package of the installed server, in a folder."""
import glob
import os
import re
import subprocess

from .cluster import find_bindir


def debian_sources():
    """deb-src lines for the Debian archives that this machine takes packages from."""
    out = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
         "Created-By: Packages"], check=True, stdout=subprocess.PIPE, text=True).stdout
    lines = {line for line in out.splitlines() if line.startswith("Debian|")}
    return "".join("deb-src {1} {2} {3}\n".format(*line.split("|")) for line in sorted(lines))


class Source:
    """The unpacked and built source of PostgreSQL, in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.major = find_bindir().split("/")[-2]

    def apt(self, program, *args, check=True):
        """An apt program with a configuration of its own: the machine's is left alone."""
        options = {"Dir::Etc::sourcelist": "sources.list", "Dir::Etc::sourceparts": "/dev/null",
                   "Dir::State::lists": "lists", "Dir::Cache": "cache"}
        argv = [program, "-q"] + [f"-o={k}={v if v[0] == '/' else self.folder + '/' + v}"
                                  for k, v in options.items()]
        done = subprocess.run(argv + list(args), cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if check and done.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(args)}:\n{done.stdout[-2000:]}")
        return done

    def fetch(self):
        """Unpack the newest version that can be had; an archive may list what it no longer has."""
        with open(f"{self.folder}/sources.list", "w", encoding="ascii") as f:
            f.write(debian_sources())
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(f"{self.folder}/{name}")
        self.apt("apt-get", "update")
        package = f"postgresql-{self.major}"
        shown = self.apt("apt-cache", "showsrc", package).stdout
        versions = re.findall(r"^Version: (.*)$", shown, re.MULTILINE)
        for version in sorted(set(versions), reverse=True):
            done = self.apt("apt-get", "source", f"{package}={version}", check=False)
            if done.returncode == 0:
                print(f"source: {package} {version}", flush=True)
                return self
        raise RuntimeError(f"no source of {package} among {versions}")

    def enter(self):
        """The folder is from here on that of the unpacked source."""
        self.folder = glob.glob(f"{self.folder}/postgresql-*/")[0].rstrip("/")
        return self

    def build(self):
        self.enter()
        log = f"{self.folder}/build.log"
        for argv in (["./configure", "--without-readline", "--without-zlib", "--without-icu"],
                     ["make", f"-j{os.cpu_count()}", "-C", "src/test/regress"],
                     ["make", f"-j{os.cpu_count()}", "-C", "src/bin/psql"],
                     ["make", f"-j{os.cpu_count()}", "-C", "src/test/modules/libpq_pipeline"]):
            with open(log, "a", encoding="utf-8") as out:
                done = subprocess.run(argv, cwd=self.folder, stdout=out, stderr=out, check=False)
            if done.returncode != 0:
                with open(log, encoding="utf-8", errors="replace") as text:
                    raise RuntimeError(f"{argv}:\n{text.read()[-3000:]}")
        return self

    @property
    def regress(self):
        return f"{self.folder}/src/test/regress"

    @property
    def pipeline(self):
        return f"{self.folder}/src/test/modules/libpq_pipeline/libpq_pipeline"
