"""auth_type ldap and pam: passwords that others check, how long they may take, who comes in."""
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import time

import pgwire
import pytest
from pgwire import cstr, msg
from pooler import SANITIZER_ENV
from rawclient import RawClient, ServerError
from tools import proc
from tools.certs import Authority
from tools.directory import PEOPLE, READER, SUFFIX, Directory, missing

pytestmark = pytest.mark.threads
ADMIN = "host pgweir admin all scram-sha-256\n"
PREFIX = f'ldapprefix="cn=" ldapsuffix=",{PEOPLE}"'
SEARCH = f'ldapbasedn="{SUFFIX}" ldapbinddn="{READER[0]}" ldapbindpasswd={READER[1]}'
ODD = "o,ou=*)(uid=a+b\\"  # a user whose name means something in DNs and filters
WRAPPER = "/usr/lib/x86_64-linux-gnu/libpam_wrapper.so"
MATRIX = "/usr/lib/x86_64-linux-gnu/pam_wrapper/pam_matrix.so"



def lacks(site, method):
    """Whether the build is one without it."""
    p = site.pgweir(settings={"auth_type": method, "auth_ldap_options": "ldapbasedn=dc=x"})
    return "this build of pgweir lacks" in p.check_config()[1]


@pytest.fixture(name="pam", scope="module")
def have_pam(site):
    if not (os.path.exists(WRAPPER) and os.path.exists(MATRIX)):
        pytest.skip("NOT TESTED: PAM, for libpam-wrapper is not installed")
    if lacks(site, "pam"):
        pytest.skip("NOT TESTED: PAM, for this build lacks it")


@pytest.fixture(scope="module")
def both(site):
    for method in ("pam", "ldap"):
        if lacks(site, method):
            pytest.skip(f"NOT TESTED: options of pam and ldap, for this build lacks {method}")


needs_pam = pytest.mark.usefixtures("pam")
needs_both = pytest.mark.usefixtures("both")


def login(p, user="app", password="", database="app", **params):
    with RawClient(p.port, timeout=20 * p.slow) as client:
        client.login(user, password, database, **params)
        return client.value("SELECT current_user")


def refused(p, user="app", password="wrong", database="app"):
    with pytest.raises(ServerError) as error:
        login(p, user, password, database)
    return error.value


def count(p, method, what):
    return int(p.show_one("AUTH_HELPERS", method=method)[what])


@contextlib.contextmanager
def checked(site, rules, unlisted=("app",), before=None, **options):
    """A pgweir with these rules, whose auth_file lacks the unlisted; the admin has a rule."""
    settings = {"auth_type": "hba", "auth_hba_file": "{folder}/hba", **options.pop("settings", {})}
    p = site.pgweir(settings=settings, **options)
    for user in unlisted:
        p.passwords.pop(user, None)
    p._write("hba", ADMIN + rules)  # pylint: disable=protected-access
    if before:
        before(p)
    with p:
        yield p


@pytest.mark.parametrize("method, options", [("pam", ""), ("ldap", "ldapbasedn=dc=x")])
def test_a_build_that_lacks_a_method_says_so(site, method, options):
    if not lacks(site, method):
        pytest.skip("this build has it")
    p = site.pgweir(settings={"auth_type": method, "auth_ldap_options": options})
    status, text = p.check_config()
    assert status == 1 and "auth_type: this build of pgweir lacks" in text
    p.settings.update(auth_type="hba", auth_ldap_options="", auth_hba_file="{folder}/hba")
    p._write("hba", f"local all all {method} {options}\n")  # pylint: disable=protected-access
    status, text = p.check_config()
    assert status == 1 and f"hba:1: method = {method}: this build of pgweir lacks" in text


# --- LDAP ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def directory(site):
    if missing():
        pytest.skip(f"NOT TESTED: LDAP, for {missing()}")
    if lacks(site, "ldap"):
        pytest.skip("NOT TESTED: LDAP, for this build lacks it")
    folder = site.new_folder()
    dn_of_odd = ODD.translate(str.maketrans({c: "\\" + c for c in ',=+\\"'}))
    people = [(f"cn=app,{PEOPLE}", "app", site.passwords["app"]),
              (f"cn=plainuser,{PEOPLE}", "plainuser", "ldap-secret"),
              (f"cn={dn_of_odd},{PEOPLE}", ODD, "odd-secret"),
              (f"cn=twin1,{PEOPLE}", "twin", "twin-secret"),
              (f"cn=twin2,{PEOPLE}", "twin", "twin-secret")]
    with Directory(folder, Authority(f"{folder}/tls", "LDAP test CA"), people) as d:
        yield d


def at(directory, **more):
    words = [f"{name}={value}" for name, value in more.items()]
    return " ".join(["ldapserver=127.0.0.1", f"ldapport={directory.port}", *words])


def test_a_simple_bind(site, directory):
    """The password is the directory's; it serves the server as well, for auth_file has none."""
    with checked(site, f"host all all all ldap {at(directory)} {PREFIX}\n") as p:
        assert login(p, password=site.passwords["app"]) == "app"
        error = refused(p)
        assert error.sqlstate == "28000"
        assert error.fields["M"] == 'LDAP authentication failed for user "app"'
        assert refused(p, "nobody").fields["M"] == 'LDAP authentication failed for user "nobody"'
        assert "method=ldap reason=\"the server refuses the password" in p.log_text()
        assert count(p, "ldap", "accepted") == 1 and count(p, "ldap", "denied") == 2
        assert 'pgweir_auth_checks_total{method="ldap",result="denied"} 2' in metrics(p)
        for secret in (site.passwords["app"], "wrong"):
            assert secret not in p.log_text()


def metrics(p):
    return proc.run(["curl", "-sS", f"http://127.0.0.1:{p.stats_port}/metrics"])


def test_an_empty_password_is_not_sent_on(site, directory):
    """RFC 4513: a bind without a password succeeds, as nobody."""
    with checked(site, f"host all all all ldap {at(directory)} {PREFIX}\n") as p:
        assert refused(p, password="").sqlstate == "28000"
        assert "the password is empty" in p.log_text()
        assert count(p, "ldap", "accepted") + count(p, "ldap", "denied") == 0


@pytest.mark.parametrize("options", [
    SEARCH, SEARCH + " ldapsearchattribute=cn",
    SEARCH + ' ldapsearchfilter="(&(objectClass=person)(|(uid=$username)(cn=$username)))"'],
    ids=["uid", "attribute", "filter"])
def test_a_search_and_a_bind(site, directory, options):
    with checked(site, f"host all all all ldap {at(directory)} {options}\n") as p:
        assert login(p, password=site.passwords["app"]) == "app"
        assert refused(p).sqlstate == "28000"
        assert refused(p, "nobody").sqlstate == "28000"
        assert "no entry of that name" in p.log_text()
        assert READER[1] not in p.log_text()


def test_a_name_that_two_have_is_nobodys(site, directory):
    with checked(site, f"host all all all ldap {at(directory)} {SEARCH}\n") as p:
        assert refused(p, "twin", "twin-secret").sqlstate == "28000"
        assert "more than one entry of that name" in p.log_text()


def test_the_reader_is_refused(site, directory):
    options = SEARCH.replace(READER[1], "other")
    with checked(site, f"host all all all ldap {at(directory)} {options}\n") as p:
        assert refused(p, password=site.passwords["app"]).sqlstate == "28000"
        assert "binding with ldapbinddn: Invalid credentials" in p.log_text()
        assert count(p, "ldap", "failed") == 1


def test_urls(site, directory):
    base = f"ldap://127.0.0.1:{directory.port}/{SUFFIX}"
    more = f'ldapbinddn="{READER[0]}" ldapbindpasswd={READER[1]}'
    rules = (f'host all app all ldap ldapurl="{base}?cn?sub" {more}\n'
             f'host all plainuser all ldap ldapurl="{base}?cn" {more}\n')
    with checked(site, rules) as p:
        assert login(p, password=site.passwords["app"]) == "app"
        refused(p, "plainuser", "ldap-secret")  # without a scope the base alone is looked at
        assert "no entry of that name" in p.log_text()


@pytest.mark.parametrize("url, finds", [
    (f"{PEOPLE}?cn?one", True), (f"{SUFFIX}?cn?one", False),  # two levels up
    (f"cn=app,{PEOPLE}?cn?base", True), (f"{SUFFIX.replace(',', '%2C')}??sub", True),
    (f"{SUFFIX}??sub?(cn=$username)", True), (f"{SUFFIX}??sub?(sn=$username)", False)],
    ids=["one", "one_of_all", "base", "encoded", "filter", "filter_of_none"])
def test_parts_of_a_url(site, directory, url, finds):
    more = f'ldapbinddn="{READER[0]}" ldapbindpasswd={READER[1]}'
    rule = f'host all all all ldap ldapurl="ldap://127.0.0.1:{directory.port}/{url}" {more}\n'
    with checked(site, rule) as p:
        if finds:
            assert login(p, password=site.passwords["app"]) == "app"
        else:
            refused(p, password=site.passwords["app"])
            assert "no entry of that name" in p.log_text()


def test_a_url_of_ldaps_and_its_last_word_is_another_option(site, directory):
    """What stands behind ldapurl takes the place of its parts; before it, its parts do."""
    url = f'ldapurl="ldaps://127.0.0.1:{directory.tls_port}/dc=none?cn?sub"'
    more = f'ldapbinddn="{READER[0]}" ldapbindpasswd={READER[1]}'
    rules = (f'host all app all ldap {url} ldapbasedn="{SUFFIX}" {more}\n'
             f'host all plainuser all ldap ldapbasedn="{SUFFIX}" {url} {more}\n')
    with checked(site, rules, environment={"LDAPTLS_CACERT": directory.ca}) as p:
        assert login(p, password=site.passwords["app"]) == "app"
        assert refused(p, "plainuser", "ldap-secret").sqlstate == "28000"
        assert "No such object" in p.log_text()


def test_who_searches_without_ldapbinddn_is_nobody(site, directory):
    """This directory shows nothing to such."""
    with checked(site, f'host all all all ldap {at(directory)} ldapbasedn="{SUFFIX}"\n') as p:
        assert refused(p, password=site.passwords["app"]).sqlstate == "28000"
        assert "searching: No such object" in p.log_text()


@pytest.mark.parametrize("options", [PREFIX, SEARCH], ids=["bind", "search"])
def test_names_stay_names(site, directory, options):
    """A name cannot end the DN or the filter that it stands in: it finds its own entry alone."""
    databases = {"app": site.app_on([site.cluster.primary])["app"]
                 + f" user=app password={site.passwords['app']}"}
    with checked(site, f"host all all all ldap {at(directory)} {options}\n", (),
                 databases=databases) as p:
        assert login(p, ODD, "odd-secret") == "app"
        for name in ("*", "app*", "app)(cn=*", "app\\2a", f"app,{PEOPLE}", "ap\\70", "app\n",
                     "*)(|(uid=*", "#app", "app\x01"):
            assert refused(p, name, site.passwords["app"]).sqlstate == "28000", name
        assert count(p, "ldap", "failed") == 0


@pytest.mark.parametrize("how", ["ldaptls=1", "ldapscheme=ldaps"])
def test_tls_to_the_server(site, directory, how):
    port = directory.port if how == "ldaptls=1" else directory.tls_port
    rules = f"host all all all ldap ldapserver=127.0.0.1 ldapport={port} {how} {PREFIX}\n"
    with checked(site, rules, environment={"LDAPTLS_CACERT": directory.ca}) as p:
        assert login(p, password=site.passwords["app"]) == "app"
        assert refused(p).sqlstate == "28000"
    with checked(site, rules) as p:  # nobody vouches for its certificate
        assert refused(p, password=site.passwords["app"]).sqlstate == "28000"
        assert count(p, "ldap", "failed") == 1
        assert "login refused, not checked" in p.log_text()


def test_whole_daemon(site, directory):
    """auth_type ldap without rules; the console too; auth_file's password goes to the server."""
    settings = {"auth_type": "ldap", "admin_users": "plainuser",
                "auth_ldap_options": f"{at(directory)} {PREFIX}"}
    p = site.pgweir(settings=settings)
    with p:
        assert login(p, "plainuser", "ldap-secret") == "plainuser"
        assert refused(p, "plainuser", site.passwords["plainuser"]).sqlstate == "28000"
        p.passwords["plainuser"] = "ldap-secret"
        assert "ldapserver" not in str(p.show("CONFIG", user="plainuser"))


def test_the_server_asks_for_more_than_the_directory_knows(site, directory):
    """The password is right there, and wrong on the server: its refusal is told."""
    with checked(site, f"host all all all ldap {at(directory)} {PREFIX}\n", ["plainuser"]) as p:
        error = refused(p, "plainuser", "ldap-secret")
        assert "LDAP" not in error.fields["M"]
        assert count(p, "ldap", "accepted") == 1


def test_a_server_that_is_down_and_one_beside_it(site, directory):
    down = proc.free_port()
    rules = (f'host all app all ldap ldapserver=127.0.0.1 ldapport={down} {PREFIX}\n'
             f'host all plainuser all ldap ldapserver="127.0.0.99 127.0.0.1" '
             f'ldapport={directory.port} {PREFIX}\n')
    with checked(site, rules, []) as p:
        assert refused(p, password=site.passwords["app"]).sqlstate == "28000"
        assert "Can't contact LDAP server" in p.log_text()
        assert count(p, "ldap", "failed") == 1
        assert login(p, "plainuser", "ldap-secret") == "plainuser"


@contextlib.contextmanager
def silent():
    """A server that takes connections and says nothing."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", proc.free_port()))
        s.listen(64)
        yield s.getsockname()[1]


def begin(p, user="app", password="x"):
    """A client that has sent its password."""
    client = RawClient(p.port, timeout=20 * p.slow)
    client.send(pgwire.startup({"user": user, "database": "app"}))
    assert client.read_message().kind == "R"
    client.send(msg("p", cstr(password)))
    return client


def ended(client):
    """The error that it gets, and how long it took."""
    began = time.monotonic()
    m = client.read_message()
    client.close()
    assert m.kind == "E"
    return ServerError(m), time.monotonic() - began


@pytest.mark.parametrize("how", [PREFIX, SEARCH, PREFIX + " ldaptls=1",
                                 PREFIX + " ldapscheme=ldaps"],
                         ids=["bind", "search", "starttls", "ldaps"])
def test_a_silent_server_is_given_up(site, directory, how):  # pylint: disable=unused-argument
    with silent() as port:
        rules = f"host all all all ldap ldapserver=127.0.0.1 ldapport={port} {how}\n"
        with checked(site, rules, settings={"auth_helper_timeout": "1"}) as p:
            error, took = ended(begin(p))
            assert error.sqlstate == "28000" and took < 5 * p.slow
            p.wait_show("AUTH_HELPERS", lambda r: r["timed_out"] == "1", method="ldap")
            assert "login refused, not checked" in p.log_text()
            p.wait_show("AUTH_HELPERS", lambda r: r["stuck"] == "0", method="ldap")


def test_a_full_queue_and_a_client_that_leaves(site, directory):
    """One is asked about, one waits, one is too many; who has left is not missed."""
    with silent() as port:
        rules = (f"host all app all ldap ldapserver=127.0.0.1 ldapport={port} {PREFIX}\n"
                 f"host all plainuser all ldap {at(directory)} {PREFIX}\n")
        settings = {"auth_helper_timeout": "3", "auth_helper_threads": "1", "auth_helper_queue": "1"}
        with checked(site, rules, [], settings=settings) as p:
            first = begin(p)
            p.wait_show("AUTH_HELPERS", lambda r: r["running"] == "1", method="ldap")
            second = begin(p)
            p.wait_show("AUTH_HELPERS", lambda r: r["waiting"] == "1", method="ldap")
            assert 'pgweir_auth_checks{method="ldap",state="waiting"} 1' in metrics(p)
            error, _ = ended(begin(p))
            assert error.sqlstate == "53000" and "auth_helper_queue" in error.fields["H"]
            first.close()
            error, _ = ended(second)
            assert error.sqlstate == "28000"
            row = p.wait_show("AUTH_HELPERS", lambda r: r["timed_out"] == "2", method="ldap")
            assert row["queue_full"] == "1"
            p.wait_show("AUTH_HELPERS", lambda r: r["stuck"] == r["running"] == "0", method="ldap")
            assert login(p, "plainuser", "ldap-secret") == "plainuser"


def test_who_leaves_the_line_gives_up_the_place(site, directory):  # pylint: disable=unused-argument
    """Else clients that come and go would keep all others out."""
    with silent() as port:
        rules = f"host all all all ldap ldapserver=127.0.0.1 ldapport={port} {PREFIX}\n"
        settings = {"auth_helper_timeout": "60", "auth_helper_threads": "1",
                    "auth_helper_queue": "1", "client_login_timeout": "5"}
        with checked(site, rules, settings=settings) as p:
            first = begin(p)
            p.wait_show("AUTH_HELPERS", lambda r: r["running"] == "1", method="ldap")
            for n in range(1, 4):
                begin(p).close()
                row = p.wait_show("AUTH_HELPERS", lambda r, n=n: r["client_gone"] == str(n),
                                  method="ldap")
                assert row["waiting"] == "0" and row["running"] == "1"
            assert 'pgweir_auth_checks_total{method="ldap",result="client_gone"} 3' in metrics(p)
            second = begin(p)  # is closed by us, after client_login_timeout
            p.wait_show("AUTH_HELPERS", lambda r: r["waiting"] == "1", method="ldap")
            row = p.wait_show("AUTH_HELPERS", lambda r: r["client_gone"] == "4", method="ldap",
                              timeout=20 * p.slow)
            assert (row["waiting"], row["queue_full"]) == ("0", "0")
            for client in (first, second):
                client.close()


def test_reload_and_end_while_a_check_runs(site, directory):
    with silent() as port:
        rules = f"host all all all ldap ldapserver=127.0.0.1 ldapport={port} {PREFIX}\n"
        with checked(site, rules, settings={"auth_helper_timeout": "2"}) as p:
            client = begin(p)
            p.wait_show("AUTH_HELPERS", lambda r: r["running"] == "1", method="ldap")
            p._write("hba", ADMIN + f"host all all all ldap {at(directory)} {PREFIX}\n")
            p.admin("RELOAD")
            assert login(p, password=site.passwords["app"]) == "app"
            assert ended(client)[0].sqlstate == "28000"
            p._write("hba", ADMIN + rules)
            p.reload(auth_helper_timeout="60")
            client = begin(p)
            p.wait_show("AUTH_HELPERS", lambda r: r["running"] == "1", method="ldap")
            began = time.monotonic()
            p.stop()  # and checks that it ends well
            assert time.monotonic() - began < 10 * p.slow
            client.close()


@needs_both
def test_wrong_options_are_told(site):
    p = site.pgweir(settings={"auth_type": "hba", "auth_hba_file": "{folder}/hba"})
    p._write("hba", "host all all all ldap ldapserver=h\n"
                    "host all all all ldap ldapserver=h ldapport=x ldapprefix=y\n"
                    "host all all all pam pamservice=a/b\n"
                    "host all all all ldap ldapserver=h ldapprefix=y\n"
                    "hostssl all all all ldap ldapserver=h ldapprefix=y ldaptls=1\n")
    status, text = p.check_config()
    assert status == 1
    assert f"{p.folder}/hba:1: option: expected ldapbasedn, ldapprefix" in text
    assert f"{p.folder}/hba:2: ldapport: expected a port number" in text
    assert f"{p.folder}/hba:3: pamservice: expected the name of a PAM service" in text
    p.settings.update(auth_type="ldap", listen_addr="0.0.0.0")
    status, text = p.check_config()
    assert status == 1 and "auth_type: expected auth_ldap_options with ldap" in text
    p.settings["auth_ldap_options"] = "ldapserver=h ldaport=3"
    status, text = p.check_config()
    assert status == 1 and "auth_ldap_options: ldaport: expected ldapserver" in text
    p.settings["auth_ldap_options"] = 'ldapserver=h ldapprefix="cn=" ldapsuffix=",dc=x"'
    status, text = p.check_config()
    assert status == 0
    assert "warning: " in text and "passwords cross the network as they are" in text
    assert "passwords go on to the LDAP server as they are" in text


@needs_both
def test_rules_without_tls_are_warned_of(site):
    p = site.pgweir(settings={"auth_type": "hba", "auth_hba_file": "{folder}/hba"})
    p._write("hba", "host all all all pam\nhostssl all all all pam\nlocal all all pam\n")
    status, text = p.check_config()
    assert status == 0
    assert f"warning: {p.folder}/hba:1: method = pam: clients send their passwords" in text
    assert "hba:2" not in text and "hba:3" not in text


# --- PAM -------------------------------------------------------------------------------------

def preload(site):
    """pam_wrapper, behind the sanitizer's runtime, which has to come first."""
    text = subprocess.run(["ldd", site.binary], capture_output=True, text=True, check=True).stdout
    runtimes = [line.split()[2] for line in text.splitlines()
                if line.split()[0].startswith(("libasan", "libtsan"))]
    return " ".join(runtimes + [WRAPPER])


@contextlib.contextmanager
def with_pam(site, rules, services, known="", **options):
    """A pgweir whose PAM has these services; known: lines for pam_matrix."""
    folder = site.new_folder()
    os.mkdir(f"{folder}/services")
    files = {"passwords": known, "suppressions": "race:^_dl_\n",
             **{f"services/{n}": t for n, t in services.items()}}
    for name, text in files.items():
        with open(f"{folder}/{name}", "w", encoding="utf-8") as f:
            f.write(text.replace("{folder}", folder).replace("{matrix}", (
                f"{MATRIX} passdb={folder}/passwords verbose")))
        os.chmod(f"{folder}/{name}", 0o755)
    proc.give_to_service_user(folder)
    environment = {"LD_PRELOAD": preload(site), "PAM_WRAPPER": "1",
                   "PAM_WRAPPER_SERVICE_DIR": f"{folder}/services", "TMPDIR": folder}
    if site.sanitizer:  # TSan's and clang's ASan refuse RTLD_DEEPBIND
        environment["UID_WRAPPER_DISABLE_DEEPBIND"] = "1"
    if site.sanitizer == "tsan":  # it does not see the loader's lock
        environment["TSAN_OPTIONS"] = (SANITIZER_ENV["TSAN_OPTIONS"]
                                       + f":suppressions={folder}/suppressions")
    with checked(site, rules, environment=environment, **options) as p:
        p.pam_folder = folder
        yield p


BOTH = "auth required {matrix}\naccount required {matrix}\n"


@needs_pam
def test_pam(site):
    passwords = f"app:{site.passwords['app']}:pgbouncer\nplainuser:pam-secret:other\n"
    rules = ("host all plainuser all pam pamservice=other pam_use_hostname=1\n"
             "host all all all pam\n")
    with with_pam(site, rules, {"pgbouncer": BOTH, "other": BOTH}, passwords) as p:
        assert login(p, password=site.passwords["app"]) == "app"
        assert login(p, "plainuser", "pam-secret") == "plainuser"
        error = refused(p)
        assert error.sqlstate == "28000"
        assert error.fields["M"] == 'PAM authentication failed for user "app"'
        assert refused(p, "nobody").fields["M"] == 'PAM authentication failed for user "nobody"'
        assert refused(p, password="").sqlstate == "28000"
        assert "method=pam reason=\"pam_authenticate: " in p.log_text()
        assert count(p, "pam", "accepted") == 2 and count(p, "pam", "denied") == 2
        for secret in (site.passwords["app"], "pam-secret", "wrong"):
            assert secret not in p.log_text()


@needs_pam
def test_pam_for_the_whole_daemon(site):
    """auth_type pam with a service of its own, also for the console."""
    settings = {"auth_type": "pam", "auth_pam_service": "weir"}
    passwords = "admin:pam-admin:weir\n"
    with with_pam(site, "", {"weir": BOTH}, passwords, settings=settings,
                  passwords={"admin": "pam-admin"}) as p:
        assert count(p, "pam", "accepted") >= 1
        assert refused(p, "admin", site.passwords["admin"]).sqlstate == "28000"


@needs_pam
def test_an_account_that_is_locked(site):
    service = "auth required {matrix}\naccount required pam_deny.so\n"
    with with_pam(site, "host all all all pam\n", {"pgbouncer": service},
                  "app:right:pgbouncer\n") as p:
        assert refused(p, password="right").sqlstate == "28000"
        assert "pam_acct_mgmt" in p.log_text()


@needs_pam
def test_modules_are_told_the_clients_host(site):
    """Its address; with pam_use_hostname its name, where there is one."""
    tells = ("auth required pam_exec.so quiet {folder}/services/tell.sh\n"
             "account required pam_permit.so\n")
    script = '#!/bin/sh\necho "$PAM_SERVICE $PAM_USER $PAM_RHOST" >> {folder}/told\n'
    rules = ("local all all pam\n"
             "host all app 127.0.0.1/32 pam pam_use_hostname=1\n"
             "host all all all pam pam_use_hostname=0\n")
    with with_pam(site, rules, {"pgbouncer": tells, "tell.sh": script},
                  unlisted=(), settings={"unix_socket_dir": "{folder}"}) as p:
        def told(user, **how):
            with RawClient(p.port, timeout=20 * p.slow, **how) as client:
                client.login(user, site.passwords[user], "app")
            with open(f"{p.pam_folder}/told", encoding="utf-8") as f:
                return f.read().splitlines()[-1]
        name = socket.getnameinfo(("127.0.0.1", 0), 0)[0]
        assert name != "127.0.0.1", "/etc/hosts has no name for it"
        assert told("app") == f"pgbouncer app {name}"
        assert told("plainuser") == "pgbouncer plainuser 127.0.0.1"
        assert told("app", host=p.folder) == "pgbouncer app [local]"


STUCK = "auth required pam_exec.so quiet {folder}/services/stuck.sh\naccount required pam_permit.so\n"
SCRIPT = "#!/bin/sh\nwhile [ -d {folder} ] && [ ! -e {folder}/go ]; do sleep 0.1; done\n"


def let_go(p):
    with open(f"{p.pam_folder}/go", "w", encoding="utf-8"):
        pass


@needs_pam
def test_a_module_that_is_stuck(site):
    """Each costs a thread, which is replaced; one more takes the place of those that work."""
    rules = "host all plainuser all pam pamservice=matrix\nhost all all all pam\n"
    services = {"pgbouncer": STUCK, "stuck.sh": SCRIPT, "matrix": BOTH}
    settings = {"auth_helper_timeout": "1", "auth_helper_threads": "1", "auth_helper_queue": "4"}
    with with_pam(site, rules, services, "plainuser:right:matrix\n", settings=settings) as p:
        error, took = ended(begin(p))
        assert error.sqlstate == "28000" and took < 8 * p.slow
        assert error.fields["M"] == 'PAM authentication failed for user "app"'
        assert "no answer within auth_helper_timeout" in p.log_text()
        assert count(p, "pam", "stuck") == 1
        assert login(p, "plainuser", "right") == "plainuser"  # by its replacement
        assert ended(begin(p))[0].sqlstate == "28000"
        assert count(p, "pam", "stuck") == 2
        assert ended(begin(p, "plainuser", "right"))[0].sqlstate == "28000"
        assert "none of auth_helper_threads was free" in p.log_text()
        let_go(p)
        p.wait_show("AUTH_HELPERS", lambda r: r["stuck"] == "0", method="pam")
        assert login(p, "plainuser", "right") == "plainuser"
        assert count(p, "pam", "timed_out") == 3


@needs_pam
@pytest.mark.parametrize("signo", [signal.SIGQUIT, signal.SIGTERM])
def test_the_end_does_not_wait_for_a_stuck_module(site, signo):
    services = {"pgbouncer": STUCK, "stuck.sh": SCRIPT}
    with with_pam(site, "host all all all pam\n", services,
                  settings={"auth_helper_timeout": "60"}) as p:
        client = begin(p)
        p.wait_show("AUTH_HELPERS", lambda r: r["running"] == "1", method="pam")
        if signo == signal.SIGTERM:
            client.close()
        began = time.monotonic()
        p.stop(signo)
        assert time.monotonic() - began < 10 * p.slow
        client.close()
        let_go(p)


@needs_pam
def test_over_tls(site):
    """What the clients' passwords should come by."""
    cert, key = Authority(f"{site.new_folder()}/tls").issue("pgweir")
    tls = {"client_tls_cert_file": cert, "client_tls_key_file": key, "client_tls_sslmode": "require"}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with with_pam(site, "hostssl all all all pam\n", {"pgbouncer": BOTH},
                  "plainuser:right:pgbouncer\n", settings=tls) as p:
        with RawClient(p.port, timeout=20 * p.slow) as client:
            client.request_tls(context).login("plainuser", "right", "app")
            assert client.value("SELECT current_user") == "plainuser"
