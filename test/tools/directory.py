"""An LDAP server, Debian's slapd, with a small directory; it runs as an ordinary user."""
import base64
import os
import shutil
import socket

from . import proc

SUFFIX = "dc=example,dc=net"
PEOPLE = f"ou=people,{SUFFIX}"
READER = (f"cn=reader,{SUFFIX}", "reader-secret")  # who may search; nobody else may

_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {ca}
TLSCertificateFile {cert}
TLSCertificateKeyFile {key}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
database mdb
suffix "{suffix}"
directory {folder}/data
maxsize 10485760
"""


def missing():
    """Why there is none, or None."""
    return None if os.path.exists("/usr/sbin/slapd") else "slapd is not installed"


def _entry(dn, *lines):
    encoded = base64.b64encode(dn.encode()).decode()
    return "\n".join([f"dn:: {encoded}", *lines]) + "\n"


def person(dn, uid, password):
    return _entry(dn, "objectClass: inetOrgPerson", "sn: x",
                  f"uid:: {base64.b64encode(uid.encode()).decode()}", f"userPassword: {password}")


class Directory:
    """people: (DN, uid, password) each. A context manager."""

    def __init__(self, folder, authority, people):
        self.folder = str(folder)
        self.port, self.tls_port = proc.free_port(), proc.free_port()
        self.ca = authority.cert
        cert, key = authority.issue("ldap")
        for path in (cert, key):
            proc.give_to_service_user(path)
        os.makedirs(f"{self.folder}/data")
        proc.give_to_service_user(f"{self.folder}/data")
        self._write("slapd.conf", _CONFIG.format(folder=self.folder, ca=self.ca, cert=cert, key=key,
                                                 suffix=SUFFIX, reader=READER[0]))
        entries = [_entry(SUFFIX, "objectClass: domain", "dc: example"),
                   _entry(PEOPLE, "objectClass: organizationalUnit", "ou: people"),
                   _entry(READER[0], "objectClass: person", "sn: x",
                          f"userPassword: {READER[1]}")]
        self._write("entries.ldif", "\n".join(entries + [person(*p) for p in people]))
        self.process = None

    def _write(self, name, text):
        with open(f"{self.folder}/{name}", "w", encoding="utf-8") as f:
            f.write(text)
        proc.give_to_service_user(f"{self.folder}/{name}")

    def __enter__(self):
        proc.run([shutil.which("slapadd", path="/usr/sbin:/usr/bin"), "-f",
                  f"{self.folder}/slapd.conf", "-l", f"{self.folder}/entries.ldif"])
        self.start()
        return self

    def start(self):
        self.process = proc.spawn(
            ["/usr/sbin/slapd", "-f", f"{self.folder}/slapd.conf", "-d", "0", "-h",
             f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"],
            f"{self.folder}/slapd.log")
        proc.wait_until("slapd to listen", self._answers, 20)

    def _answers(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(20)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()
