#!/usr/bin/env python3
"""A provider of OpenID Connect for tests, on loopback. It signs in one person without asking, and can be told to misbehave.

    provider.py PORT FOLDER REDIRECT_URI

FOLDER gets its keys, which `openssl` makes and signs with; nothing but Python's own library is needed. It prints "ready" once it answers.

POST /control takes how it behaves from now on, as JSON; what is left out is as it should be:

    claims         members of the token, in place of the right ones; null: left out
    algorithm      RS256 (default), PS256, ES256, HS256 with the public key as the secret, none
    header         members of the token's header, in place of the right ones; null: left out
    key            the name of the key that signs; the header names the usual one of the algorithm
    keys           the names of the keys that it publishes; default: rsa-1, ec-1
    configuration  members of its configuration, in place of the right ones; null: left out
    answers        by the path: {"status", "headers", "body", "delay" in seconds, "bytes" without a length}, in place of the right answer
    error          what /authorize sends back in place of a code

GET /control answers how often each path was asked for, and POST /control counts from 0 again.
"""

import base64
import hashlib
import hmac
import http.server
import json
import pathlib
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

CLIENT, SECRET = "analytics:1", "s%cret/+ü"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    def __init__(self, folder, name):
        self.name = name
        self.path = folder / f"{name}.pem"
        kind = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"] if name.startswith("ec") else ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]
        self.openssl("genpkey", "-algorithm", *kind, "-out", str(self.path))
        self.public = self.openssl("pkey", "-in", str(self.path), "-pubout")

    @staticmethod
    def openssl(*arguments, data=None):
        return subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout

    def jwk(self):
        if self.name.startswith("ec"):
            point = self.openssl("pkey", "-in", str(self.path), "-pubout", "-outform", "DER")[-64:]
            return {"kty": "EC", "crv": "P-256", "kid": self.name, "use": "sig", "x": b64(point[:32]), "y": b64(point[32:])}
        modulus = self.openssl("rsa", "-in", str(self.path), "-noout", "-modulus").decode().strip().split("=")[1]
        return {"kty": "RSA", "kid": self.name, "use": "sig", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}

    def sign(self, algorithm, data):
        if algorithm == "none":
            return b""
        if algorithm == "HS256":
            return hmac.new(self.public, data, hashlib.sha256).digest()
        options = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if algorithm == "PS256" else []
        signature = self.openssl("dgst", "-sha256", *options, "-sign", str(self.path), data=data)
        return raw(signature) if algorithm == "ES256" else signature


def raw(der):
    """The two numbers of an ECDSA signature, of 32 bytes each, out of a SEQUENCE of two INTEGERs."""
    numbers, at = [], 2
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2 : at + 2 + length], "big"))
        at += 2 + length
    return b"".join(number.to_bytes(32, "big") for number in numbers)


class Provider:
    def __init__(self, port, folder, redirect_uri):
        self.issuer = f"http://127.0.0.1:{port}"
        self.redirect_uri = redirect_uri
        self.keys = {name: Key(folder, name) for name in ["rsa-1", "rsa-2", "rsa-3", "ec-1"]}
        self.codes = {}
        self.lock = threading.Lock()
        self.control({})

    def control(self, switches):
        with self.lock:
            self.switches = switches
            self.counts = {}

    def count(self, path):
        with self.lock:
            self.counts[path] = self.counts.get(path, 0) + 1

    def changed(self, members, switch):
        """The members with the changes that a switch names."""
        return {name: value for name, value in {**members, **self.switches.get(switch, {})}.items() if value is not None}

    def configuration(self):
        return self.changed(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "PS256", "ES256"],
            },
            "configuration",
        )

    def published(self):
        unknown = {"kty": "oct", "kid": "rsa-1", "k": "AAAA"}
        return {"keys": [unknown] + [self.keys[name].jwk() for name in self.switches.get("keys", ["rsa-1", "ec-1"])]}

    def authorize(self, query):
        """Where the browser goes, or what is wrong."""
        expected = {"response_type": "code", "client_id": CLIENT, "redirect_uri": self.redirect_uri, "code_challenge_method": "S256"}
        wrong = [name for name, value in expected.items() if query.get(name) != value]
        wrong += [name for name in ["state", "nonce", "code_challenge"] if len(query.get(name, "")) != 43]
        if wrong or "openid" not in query.get("scope", "").split() or "email" not in query.get("scope", "").split():
            return None, f"wrong: {wrong}"
        answer = {"state": query["state"], "session_state": "x y"}
        if "error" in self.switches:
            answer["error"] = self.switches["error"]
        else:
            answer["code"] = secrets.token_urlsafe(24) + "+/"
            self.codes[answer["code"]] = query
        return f"{self.redirect_uri}?{urllib.parse.urlencode(answer)}", None

    def token(self, form, authorization):
        """(status, answer)."""
        methods = self.configuration().get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:
            words = (authorization or "").split(" ")
            pair = base64.b64decode(words[1]).decode().split(":") if len(words) == 2 and words[0] == "Basic" else []
            client = [urllib.parse.unquote_plus(part) for part in pair]
        else:
            client = [form.get("client_id"), form.get("client_secret")] if authorization is None else []
        if client != [CLIENT, SECRET]:
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code"), None)
        challenge = b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if form.get("grant_type") != "authorization_code" or not asked:
            return 400, {"error": "invalid_grant"}
        if asked["redirect_uri"] != form.get("redirect_uri") or asked["code_challenge"] != challenge:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "opaque", "token_type": "Bearer", "expires_in": 60, "id_token": self.id_token(asked["nonce"])}

    def id_token(self, nonce):
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": "person-1", "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": nonce,
            "email": "Ann@shop.example", "email_verified": True, "name": "Ann",
        }  # fmt: skip
        for name, value in self.switches.get("claims", {}).items():
            # Times are relative to now.
            claims[name] = now + value if name in ("iat", "exp", "nbf") and isinstance(value, int) else value
        claims = {name: value for name, value in claims.items() if value is not None}
        algorithm = self.switches.get("algorithm", "RS256")
        usual = "ec-1" if algorithm == "ES256" else "rsa-1"
        name = self.switches.get("key", usual)
        header = self.changed({"alg": algorithm, "kid": usual, "typ": "JWT"}, "header")
        text = ".".join(b64(json.dumps(part).encode()) for part in [header, claims])
        return f"{text}.{b64(self.keys[name].sign(algorithm, text.encode()))}"


class Handler(http.server.BaseHTTPRequestHandler):
    provider = None
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, status, value):
        self.answer(status, json.dumps(value).encode())

    def told(self, path):
        """Answers as /control says, if it does."""
        told = self.provider.switches.get("answers", {}).get(path)
        if told is None:
            return False
        time.sleep(told.get("delay", 0))
        if "bytes" in told:
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            for _ in range(told["bytes"] // 65_536):
                self.wfile.write(b" " * 65_536)
            self.close_connection = True
        else:
            self.answer(told.get("status", 200), told.get("body", "").encode(), told.get("headers"))
        return True

    def do_GET(self):
        provider, url = self.provider, urllib.parse.urlsplit(self.path)
        if url.path == "/control":
            return self.json(200, provider.counts)
        provider.count(url.path)
        if self.told(url.path):
            return None
        if url.path == "/.well-known/openid-configuration":
            return self.json(200, provider.configuration())
        if url.path == "/keys":
            return self.json(200, provider.published())
        if url.path == "/authorize":
            location, wrong = provider.authorize(dict(urllib.parse.parse_qsl(url.query)))
            return self.answer(302, headers={"Location": location}) if location else self.answer(400, wrong.encode())
        return self.answer(404)

    def do_POST(self):
        provider = self.provider
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/control":
            provider.control(json.loads(body))
            return self.json(200, {})
        provider.count(self.path)
        if self.told(self.path):
            return None
        if self.path != "/token" or self.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            return self.answer(404)
        form = dict(urllib.parse.parse_qsl(body.decode()))
        return self.json(*provider.token(form, self.headers.get("Authorization")))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # A client that reads no further.
        pass


def main(port, folder, redirect_uri):
    # The thread that started it may block signals, and so would this process.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    Handler.provider = Provider(port, pathlib.Path(folder), redirect_uri)
    with Server(("127.0.0.1", int(port)), Handler) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
