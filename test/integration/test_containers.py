"""The container's files: what the image would hold runs as it is meant to; manifests, the compose
file and the chart are well-formed, safe, and configure a pgweir that accepts it. No engine runs
here: the image's root is made by the script that the Containerfile runs."""
import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from pooler import TOP
from rawclient import RawClient
from tools import proc

PACKAGING = f"{TOP}/packaging"
UID = "65532"
IMAGE_MAX = 40_000_000  # bytes


def read(path):
    with open(f"{PACKAGING}/{path}", encoding="utf-8") as f:
        return f.read()


def documents(text):
    return [d for d in yaml.safe_load_all(text) if d]


# --- the image ----------------------------------------------------------------------------------

def instructions():
    text = re.sub(r"(?m)^\s*#.*\n", "", read("container/Containerfile"))
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip()]


def test_containerfile_keeps_the_rules():
    """Those that hadolint and image scanners check."""
    found = instructions()
    names = [name for name, _ in found]
    first_of_last_stage = len(names) - 1 - names[::-1].index("FROM")
    last_stage = dict(found[first_of_last_stage:])
    assert names.count("FROM") == 2 and last_stage["FROM"] == "scratch"
    assert last_stage["USER"] == f"{UID}:{UID}"
    assert json.loads(last_stage["ENTRYPOINT"]) == ["/usr/bin/pgweir"]  # no shell
    assert json.loads(last_stage["CMD"])
    assert last_stage["COPY"].startswith("--from=build ")
    assert "RUN" not in last_stage and "ENV" not in last_stage
    assert "ADD" not in names and "MAINTAINER" not in names and names.count("CMD") == 1
    for name, rest in found:
        if name == "FROM":
            assert rest == "scratch" or re.match(r"\S+:(?!latest)\S+ AS \w+$", rest), rest
        if name == "RUN" and "apt-get install" in rest:
            assert "apt-get update &&" in rest and "--no-install-recommends" in rest
            assert "rm -rf /var/lib/apt/lists/*" in rest and "upgrade" not in rest
        if name == "RUN":
            assert "sudo" not in rest and "|" not in rest  # a pipe hides a failure
        if name == "WORKDIR":
            assert rest.startswith("/")
        assert not re.search(r"(?i)password|secret|token", rest), rest


def tree(folder):
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            info = os.lstat(f"{at}/{name}")
            found[f"{at}/{name}"] = (info.st_size, info.st_mtime_ns, info.st_mode)
    return found


@pytest.fixture(scope="module")
def image(site):
    folder = site.new_folder()
    subprocess.run([f"{PACKAGING}/container/make-root", site.binary, f"{folder}/root"], check=True)
    yield f"{folder}/root"
    shutil.rmtree(folder)


def test_the_image_is_small_and_holds_nothing_that_anybody_could_use(site, image):
    files = tree(image)
    if not site.sanitizer:
        assert sum(size for size, _, _ in files.values()) < IMAGE_MAX
    programs = [name for name in files if "/bin/" in name]
    assert [os.path.basename(name) for name in programs] == ["pgweir"]
    assert not [name for name, (_, _, mode) in files.items() if mode & 0o6022]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its root")
def test_the_image_serves_as_nobody_and_writes_nothing(site, image):
    if site.sanitizer:
        pytest.skip("a sanitizer's run-time needs /proc")
    port, stats_port, node = proc.free_port(), proc.free_port(), site.cluster.primary
    before = tree(image)
    # what would be mounted: a secret
    os.makedirs(f"{image}/run/secrets", exist_ok=True)
    with open(f"{image}/run/secrets/userlist", "w", encoding="utf-8") as f:
        f.write(f'"app" "{site.passwords["app"]}"\n')
    os.chmod(f.name, 0o644)
    env = {"PGWEIR_LISTEN_PORT": str(port), "PGWEIR_STATS_PORT": str(stats_port),
           "PGWEIR_DATABASE_app": f"host=127.0.0.1 port={node.port}",
           "PGWEIR_SERVER_TLS_SSLMODE": "disable", "PGWEIR_AUTH_FILE": "/run/secrets/userlist",
           "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PGWEIR_SERVICE_HOST": "10.1.2.3"}
    log = f"{site.folder}/image.log"
    with open(log, "wb") as out:
        daemon = subprocess.Popen(
            ["chroot", f"--userspec={UID}:{UID}", "--groups=", image, "/usr/bin/pgweir",
             "/etc/pgweir/pgweir.ini"], env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        proc.wait_until("it to serve", lambda: b"accepting connections" in open(log, "rb").read())
        with open(f"/proc/{daemon.pid}/status", encoding="utf-8") as f:
            assert f"Uid:\t{UID}\t" in f.read()
        with RawClient(port, timeout=20) as client:
            client.login("app", site.passwords["app"], "app")
            assert client.value("SELECT 1") == "1"
        daemon.terminate()
        assert daemon.wait(20) == 0
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()
    os.unlink(f"{image}/run/secrets/userlist")
    assert tree(image) == before


# --- what configures it -------------------------------------------------------------------------

class Checker:
    """`pgweir -t` for configurations that name files of a container."""

    def __init__(self, site):
        self.binary = site.binary
        self.folder = site.new_folder()
        with open(f"{self.folder}/secret", "w", encoding="utf-8") as f:
            f.write('"app" "change me"\n')
        os.chmod(f.name, 0o600)

    def check(self, text=None, env=None):
        """Errors, notes and warnings; "" is a good one. How many files may be open is this
        machine's, not the container's; its stats port is open, for probes and Prometheus, and the
        guide tells how to close the rest of it."""
        args, variables = [self.binary, "-t"], proc.clean_env()
        if text is not None:
            with open(f"{self.folder}/pgweir.ini", "w", encoding="utf-8") as f:
                f.write(re.sub(r"(?m)^(auth_file *=).*", rf"\1 {self.folder}/secret", text))
            args.append(f.name)
        for name, value in (env or {}).items():
            if name.startswith("PGWEIR_"):
                variables[name] = f"{self.folder}/secret" if name.endswith("_FILE") else value
        done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, env=variables, timeout=60)
        assert done.returncode == 0, done.stderr
        return "".join(line for line in done.stderr.splitlines(keepends=True)
                       if not line.endswith(": the configuration is good\n")
                       and "open files are needed, and the system gives" not in line
                       and "stats_addr = *: whoever reaches the stats port" not in line)


@pytest.fixture(scope="module")
def checker(site):
    return Checker(site)


def pods(docs):
    return [d["spec"]["template"]["spec"] for d in docs if d["kind"] == "Deployment"]


def our_containers(docs):
    found = [c for pod in pods(docs) for c in pod.get("initContainers", []) + pod["containers"]
             if c["name"] == "pgweir"]
    assert found
    return found


with open(f"{TOP}/test/packaging/kubernetes.json", encoding="utf-8") as schema:
    TYPES = json.load(schema)  # of Kubernetes 1.30, those that the manifests use; x!: it has to be there
SCALARS = {"string": str, "Time": str, "number": int, "boolean": bool, "Quantity": (str, int),
           "number | string": (str, int)}


def breaches(value, kind, at):
    """Where a value is not what the kind has: fields of other names or types, or that lack."""
    if kind in SCALARS:
        return [] if isinstance(value, SCALARS[kind]) and (
            kind == "boolean" or not isinstance(value, bool)) else [f"{at}: no {kind}"]
    if kind.startswith("="):
        return [] if value == kind[1:] else [f"{at}: not {kind[1:]}"]
    if kind.endswith("[]"):
        parts = [(f"{at}[{i}]", v, kind[:-2]) for i, v in enumerate(value)]
        return sum((breaches(v, k, where) for where, v, k in parts), [])
    if not isinstance(value, dict):
        return [f"{at}: no {kind}"]
    if kind.startswith("map<"):
        return sum((breaches(v, kind[4:-1], f"{at}.{key}") for key, v in value.items()), [])
    fields = {key.rstrip("!"): k for key, k in TYPES[kind].items()}
    found = [f"{at}.{key[:-1]}: lacks" for key in TYPES[kind]
             if key[-1] == "!" and key[:-1] not in value]
    for key, v in value.items():
        found += breaches(v, fields[key], f"{at}.{key}") if key in fields else [f"{at}.{key}: unknown"]
    return found


def test_what_kubernetes_does_not_know_is_found():
    docs = documents(read("kubernetes/pgweir.yaml"))
    deployment = next(d for d in docs if d["kind"] == "Deployment")
    assert breaches(deployment, "Deployment", "") == []
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["readynessProbe"] = container.pop("readinessProbe")
    container["ports"][0]["containerPort"] = "6432"
    container["env"][0].pop("name")
    container["securityContext"]["readOnlyRootFilesystem"] = "true"
    at = ".spec.template.spec.containers[0]"
    assert sorted(breaches(deployment, "Deployment", "")) == [
        f"{at}.env[0].name: lacks", f"{at}.ports[0].containerPort: no number",
        f"{at}.readynessProbe: unknown", f"{at}.securityContext.readOnlyRootFilesystem: no boolean"]


def check_manifests(docs, checker):
    """Kubernetes' own types and restricted profile, probes, and a configuration without a note."""
    by_name = {(d["kind"], d["metadata"]["name"]): d for d in docs}
    assert len(by_name) == len(docs)
    image_config = read("container/pgweir.ini")
    for d in docs:
        assert breaches(d, d["kind"], d["kind"]) == []
        if d["kind"] == "ConfigMap":
            assert checker.check(d["data"]["pgweir.ini"]) == ""
        if d["kind"] in ("Service", "PodDisruptionBudget"):
            selector = d["spec"]["selector"]
            labels = selector.get("matchLabels", selector)
            assert any(labels.items() <= w["spec"]["template"]["metadata"]["labels"].items()
                       for w in docs if w["kind"] == "Deployment")
    for pod in pods(docs):
        assert pod["enableServiceLinks"] is False
    for c in our_containers(docs):
        secure = c["securityContext"]
        assert secure["readOnlyRootFilesystem"] and not secure["allowPrivilegeEscalation"]
        assert secure["capabilities"] == {"drop": ["ALL"]}
        assert c["resources"]["limits"]["memory"] and c["resources"]["requests"]
        assert c["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "stats"}
        ports = {p["name"]: p["containerPort"] for p in c["ports"]}
        assert ports["stats"] == 9127
        config = image_config if "args" not in c else next(
            d["data"]["pgweir.ini"] for d in docs if d["kind"] == "ConfigMap")
        env = {e["name"]: e["value"] for e in c.get("env", [])}
        assert checker.check(config, env) == ""


def test_kubernetes_manifests(checker):
    docs = documents(read("kubernetes/pgweir.yaml"))
    assert {d["kind"] for d in docs} == {"ConfigMap", "Secret", "Deployment", "Service",
                                         "PodDisruptionBudget"}
    check_manifests(docs, checker)
    container = our_containers(docs)[0]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "stats"}
    assert pods(docs)[0]["securityContext"]["runAsNonRoot"]
    check_manifests(documents(read("kubernetes/sidecar.yaml")), checker)


def test_compose_file(checker):
    compose = yaml.safe_load(read("container/compose.yaml"))
    services = compose["services"]
    assert {"primary", "replica", "pgweir"} <= services.keys()
    ours = services["pgweir"]
    assert os.path.exists(f"{PACKAGING}/container/{ours['build']['context']}/"
                          f"{ours['build']['dockerfile']}")
    assert ours["read_only"] and ours["cap_drop"] == ["ALL"]
    env = {**ours["environment"]}
    assert env["PGWEIR_AUTH_FILE"] in [c["target"] for c in ours["configs"]]
    assert checker.check(read("container/pgweir.ini"), env) == ""
    for service in services.values():
        for c in service.get("configs", []):
            assert c["source"] in compose["configs"]


# --- the chart ----------------------------------------------------------------------------------

def render(values, binary):
    chart = yaml.safe_load(read("helm/pgweir/Chart.yaml"))
    data = {"Values": values, "Release": {"Name": "try", "Service": "Helm"},
            "Chart": {"AppVersion": chart["appVersion"]},
            "Template": {"BasePath": "templates"}}
    done = subprocess.run([binary, f"{PACKAGING}/helm/pgweir/templates"], input=json.dumps(data),
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


@pytest.fixture(scope="module")
def renderer(site):
    go = shutil.which("go")
    if not go:
        pytest.skip("no Go to render the chart's templates with")
    folder = site.new_folder()
    env = {**os.environ, "GOCACHE": f"{folder}/cache", "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    subprocess.run([go, "build", "-o", f"{folder}/render", f"{TOP}/test/packaging/render.go"],
                   check=True, env=env, timeout=170)
    yield f"{folder}/render"
    shutil.rmtree(folder)


def test_chart_renders_what_the_manifests_say(renderer, checker):
    values = yaml.safe_load(read("helm/pgweir/values.yaml"))
    docs = render(values, renderer)
    assert {d["kind"] for d in docs} == {"ConfigMap", "Secret", "Deployment", "Service",
                                         "PodDisruptionBudget"}
    check_manifests(docs, checker)
    plain = our_containers(documents(read("kubernetes/pgweir.yaml")))[0]
    ours = our_containers(docs)[0]
    assert {k: v for k, v in ours.items() if k not in ("image", "imagePullPolicy")} == {
        k: v for k, v in plain.items() if k != "image"}


def test_chart_follows_its_values(renderer, checker):
    values = yaml.safe_load(read("helm/pgweir/values.yaml"))
    values["existingSecret"] = "mine"
    values["podDisruptionBudget"]["enabled"] = False
    values["users"] = {"batch": "pool_size=3"}
    values["config"] |= {"max_client_conn": 1000000, "log_connections": True, "zone": "a"}
    values["nodeSelector"] = {"disk": "ssd"}
    values["tolerations"] = [{"key": "k", "operator": "Exists"}]
    docs = render(values, renderer)
    assert {d["kind"] for d in docs} == {"ConfigMap", "Deployment", "Service"}
    check_manifests(docs, checker)
    pod = pods(docs)[0]
    assert pod["nodeSelector"] == {"disk": "ssd"} and pod["tolerations"][0]["key"] == "k"
    assert any(v.get("secret", {}).get("secretName") == "mine" for v in pod["volumes"])
    config = next(d["data"]["pgweir.ini"] for d in docs if d["kind"] == "ConfigMap")
    assert "max_client_conn = 1000000\n" in config and "batch = pool_size=3\n" in config


def test_chart_takes_the_values_that_the_guide_shows(renderer, checker):
    with open(f"{TOP}/docs/containers.md", encoding="utf-8") as f:
        block = re.search(r"in `my-values.yaml`,\n\n((?:    .*\n)+)", f.read()).group(1)
    values = yaml.safe_load(read("helm/pgweir/values.yaml"))
    for key, value in yaml.safe_load(re.sub(r"(?m)^    ", "", block)).items():
        values[key] = {**values[key], **value} if isinstance(value, dict) else value  # as Helm does
    docs = render(values, renderer)
    check_manifests(docs, checker)
    config = next(d["data"]["pgweir.ini"] for d in docs if d["kind"] == "ConfigMap")
    assert "reports = host=postgres routing=on route=replica dbname=app\n" in config
    assert "default_pool_size = 30\n" in config


def test_versions_are_the_programs():
    with open(f"{TOP}/configure.ac", encoding="utf-8") as f:
        version = re.search(r"AC_INIT\(\[pgweir\], \[([^]]+)\]", f.read()).group(1)
    chart = yaml.safe_load(read("helm/pgweir/Chart.yaml"))
    assert chart["version"] == chart["appVersion"] == version
    assert yaml.safe_load(read("helm/pgweir/values.yaml"))["image"]["tag"] == version
    for name in ("pgweir", "sidecar"):
        for c in our_containers(documents(read(f"kubernetes/{name}.yaml"))):
            assert c["image"] == f"pgweir:{version}"
    assert read("debian/changelog").startswith(f"pgweir ({version}-")
