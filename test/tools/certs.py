"""Throw-away certificates, made with the openssl command."""
import os

from . import proc


def _openssl(*args):
    proc.run(["openssl", *args])


def key_options(key):
    """rsa:BITS or ec."""
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" \
        else ["-newkey", key]


class Authority:
    """A certificate authority in a folder of its own; it signs for localhost and 127.0.0.1."""

    def __init__(self, folder, name="pgweir test CA"):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        proc.give_to_service_user(self.folder)
        self.cert = f"{self.folder}/ca.crt"
        self.key = f"{self.folder}/ca.key"
        _openssl("req", "-new", "-x509", "-days", "30", "-nodes", "-newkey", "rsa:2048",
                 "-subj", f"/CN={name}", "-out", self.cert, "-keyout", self.key)

    def issue(self, name, common_name="localhost", san="DNS:localhost,IP:127.0.0.1",
              key="rsa:2048", digest="sha256"):
        """Returns the paths (certificate, key); the key is readable by its owner only."""
        base = f"{self.folder}/{name}"
        _openssl("req", "-new", "-nodes", *key_options(key), "-subj", f"/CN={common_name}",
                 "-out", base + ".csr", "-keyout", base + ".key")
        with open(base + ".ext", "w") as f:
            f.write(f"subjectAltName={san}\n")
        _openssl("x509", "-req", "-days", "30", "-" + digest, "-in", base + ".csr", "-CA", self.cert,
                 "-CAkey", self.key, "-CAcreateserial", "-extfile", base + ".ext",
                 "-out", base + ".crt")
        os.chmod(base + ".key", 0o600)
        return base + ".crt", base + ".key"
