"""Password proofs: SCRAM-SHA-256 (RFC 5802, RFC 7677) from both sides, and PostgreSQL's md5."""
import base64
import functools
import hashlib
import hmac
import os


def _b64(data):
    return base64.b64encode(data).decode()


def _mac(key, text):
    return hmac.digest(key, text.encode(), "sha256")


def _xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


@functools.lru_cache(maxsize=1000)
def _salted(password, salt, iterations):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)


def md5_secret(user, password):
    return "md5" + hashlib.md5((password + user).encode()).hexdigest()


def md5_answer(user, password, salt):
    inner = md5_secret(user, password)[3:].encode()
    return "md5" + hashlib.md5(inner + salt).hexdigest()


class Keys:
    """What a password gives with a salt and an iteration count."""

    def __init__(self, password, salt, iterations):
        salted = _salted(password, salt, iterations)
        self.salt = salt
        self.iterations = iterations
        self.client_key = _mac(salted, "Client Key")
        self.stored_key = hashlib.sha256(self.client_key).digest()
        self.server_key = _mac(salted, "Server Key")

    def verifier(self):
        """As PostgreSQL stores it in pg_authid."""
        return (f"SCRAM-SHA-256${self.iterations}:{_b64(self.salt)}"
                f"${_b64(self.stored_key)}:{_b64(self.server_key)}")


def verifier(password, iterations=4096, salt=None):
    return Keys(password, salt or os.urandom(16), iterations).verifier()


def attributes(text):
    """r=…,s=…,i=… as a dict."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


class ClientProof:
    """The client's side: first(), then final(server's first), then check(server's final)."""

    def __init__(self, password, gs2="n,,", binding=b"", nonce=None):
        self.password = password
        self.gs2 = gs2
        self.binding = binding
        self.bare = "n=,r=" + (nonce or _b64(os.urandom(18)))
        self.server_signature = None

    def first(self):
        return self.gs2 + self.bare

    def final(self, server_first):
        got = attributes(server_first)
        keys = Keys(self.password, base64.b64decode(got["s"]), int(got["i"]))
        without = f"c={_b64(self.gs2.encode() + self.binding)},r={got['r']}"
        signed = f"{self.bare},{server_first},{without}"
        proof = _xor(keys.client_key, _mac(keys.stored_key, signed))
        self.server_signature = _mac(keys.server_key, signed)
        return f"{without},p={_b64(proof)}"

    def check(self, server_final):
        assert base64.b64decode(attributes(server_final)["v"]) == self.server_signature


class ServerProof:
    """The server's side, for fake servers: first(client's first), then final(client's final)."""

    def __init__(self, password, iterations=4096, extra_nonce=None):
        self.keys = Keys(password, os.urandom(16), min(iterations, 4096))
        self.iterations = iterations  # as told; may lie
        self.extra_nonce = extra_nonce or _b64(os.urandom(18))
        self.bare = self.sent = None

    def first(self, client_first):
        self.bare = client_first.split(",", 2)[2]
        nonce = attributes(self.bare)["r"] + self.extra_nonce
        self.sent = f"r={nonce},s={_b64(self.keys.salt)},i={self.iterations}"
        return self.sent

    def final(self, client_final):
        """The last message, or None if the proof is wrong."""
        without, proof = client_final.rsplit(",p=", 1)
        signed = f"{self.bare},{self.sent},{without}"
        client_key = _xor(base64.b64decode(proof), _mac(self.keys.stored_key, signed))
        if hashlib.sha256(client_key).digest() != self.keys.stored_key:
            return None
        return "v=" + _b64(_mac(self.keys.server_key, signed))
