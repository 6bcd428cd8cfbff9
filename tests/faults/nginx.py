"""nginx as `deploy/` configures it, with TLS, in front of instances on this machine."""

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests import needs
from tests.faults.harness import PATIENCE, Client, free_ports, until
from tests.faults.load import Place
from tests.faults.processes import ROOT


class Nginx:
    """An nginx with the files of `deploy/`, of which it changes only the addresses, and writes where requests went.

    `servers` are the lines of its upstream.
    """

    def __init__(self, directory: Path, servers: Sequence[str]) -> None:
        directory.mkdir()
        self._directory = directory
        plain, self.port = free_ports(2)
        self._context = ssl.create_default_context(cafile=_certify(directory))
        config = (ROOT / "deploy/nginx.conf").read_text()
        for pattern, ours in (
            (r"    server 127.*\n", "".join(f"    server {server};\n" for server in servers)),
            (r"    listen \[::\].*\n", ""),
            (r"listen 80;", f"listen 127.0.0.1:{plain};"),
            (r"listen 443 ", f"listen 127.0.0.1:{self.port} "),
            (r"/etc/nginx/|/var/log/nginx/", f"{directory}/"),
            (r"access_log off;", f"access_log {directory}/sent sent;"),
        ):
            config, times = re.subn(pattern, ours, config)
            assert times, pattern
        shutil.copy(ROOT / "deploy/nginx_proxy.conf", directory / "refunds_proxy.conf")
        (directory / "refunds.conf").write_text(config)
        places = "".join(
            f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (directory / "nginx.conf").write_text(
            f"{'user root;' if os.geteuid() == 0 else ''} worker_processes 1; daemon off; pid {directory}/pid;"
            f"error_log {directory}/errors; events {{}}"
            f"http {{ {places} log_format sent '$request_method $upstream_addr'; include {directory}/refunds.conf; }}"
        )

    def __enter__(self) -> Self:
        """Start it."""
        command = [needs.nginx() or "nginx", "-c", str(self._directory / "nginx.conf"), "-p", str(self._directory)]
        with (self._directory / "errors").open("ab") as errors:
            self._process = subprocess.Popen(command, stdout=errors, stderr=errors)
        until(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def _answers(self) -> bool:
        with self.client(self.next(), "") as client:
            return bool(client.send("GET", "/livez").status)

    def next(self) -> Place:
        """Where each request goes: to itself."""
        return Place(self.port, 0)

    def client(self, place: Place, token: str) -> Client:
        """A client that reaches the service through it."""
        return Client(place.port, token, self._context)

    def sent(self) -> list[str]:
        """A line for each request: its method, and the addresses of the instances to which it was sent, in turn."""
        return (self._directory / "sent").read_text().splitlines()

    def sent_again(self) -> list[str]:
        """The method of each request that it sent to a second instance."""
        return [line.split()[0] for line in self.sent() if "," in line]


def _certify(directory: Path) -> Path:
    """Write a key and a certificate for this machine where the configuration has them; returns the certificate."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    written = directory / "refunds.crt"
    written.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "refunds.key").write_bytes(secret)
    return written
