"""A root of the machine's own Debian, for packages to be tried in. Needs root, and debootstrap."""
import os
import re
import shutil
import stat
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def say(text):
    print(text, flush=True)


def run(*argv, check=True, **more):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=False, **more)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} ended with {done.returncode}:\n"
                             + done.stdout[-4000:])
    return done.stdout


def need(condition, what):
    if not condition:
        raise AssertionError(what)
    say(f"  {what}")


def build_deb(folder):
    """Builds the package; returns its path in the folder."""
    say("building the package")
    run(f"{TOP}/packaging/build-deb", folder)
    debs = [f"{folder}/{name}" for name in os.listdir(folder)
            if name.startswith("pgweir_") and name.endswith(".deb")]
    need(len(debs) == 1, "one package was built")
    return debs[0]


class Root:
    """A root of Debian, made by debootstrap from where apt gets its packages."""

    def __init__(self, folder):
        self.path = folder
        targets = run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)",
                      "Created-By: Packages").split("\n")
        with open("/etc/os-release", encoding="utf-8") as f:
            self.release = re.search(r"VERSION_CODENAME=(\w+)", f.read()).group(1)
        mirror = next(t.split()[0] for t in targets if t.endswith(f" {self.release}"))
        say(f"a root of {self.release} from {mirror}")
        run("debootstrap", "--variant=minbase", self.release, folder, mirror)
        for name in ("etc/resolv.conf", "etc/apt/sources.list", "etc/apt/sources.list.d",
                     "etc/apt/apt.conf.d", "etc/apt/apt.conf"):
            if os.path.isdir(f"/{name}"):
                shutil.copytree(f"/{name}", self / name, dirs_exist_ok=True)
            elif os.path.exists(f"/{name}"):
                shutil.copy(f"/{name}", self / name)
        with open(self / "etc/hosts", "w", encoding="utf-8") as f:
            f.write("127.0.0.1 localhost\n")
        self.run("apt-get", "update")

    def __truediv__(self, name):
        return f"{self.path}/{name}"

    def run(self, *argv, **more):
        return run("chroot", self.path, *argv, **more,
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND":
                        "noninteractive", "LC_ALL": "C.UTF-8"})

    def install(self, deb):
        shutil.copy(deb, self / "tmp/pgweir.deb")
        return self.run("apt-get", "install", "-y", "--no-install-recommends",
                        "-o", "Dpkg::Options::=--force-confold", "/tmp/pgweir.deb")

    def owner_and_mode(self, name):
        return self.run("stat", "-c", "%U:%G %a", f"/{name}").strip()

    def read(self, name):
        with open(self / name, encoding="utf-8") as f:
            return f.read()


def why_not():
    """What keeps this machine from having a root of its own for the test; None: nothing."""
    if os.geteuid() != 0:
        return "only root can make another root"
    with tempfile.TemporaryDirectory(prefix="pgweir-root-") as folder:
        try:
            os.mknod(f"{folder}/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            with open(f"{folder}/null", "wb") as null:
                null.write(b"-")
        except OSError as e:
            return f"devices cannot be made here: {e}"
    return None
