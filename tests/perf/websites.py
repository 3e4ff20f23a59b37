"""What the check benchmark checks: nginx over HTTP and HTTPS, a target that hangs, and the name server that names them."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from tests.conftest import free_port
from tests.perf.machine import announcing
from tests.processes import wait_for_port

ZONE = "bench.test"
PAGE_BYTES = 10_000
_NGINX = """
daemon off; user root; worker_processes 1; worker_rlimit_nofile 65536;
pid {folder}/nginx.pid; error_log {folder}/nginx.log crit;
events {{ worker_connections 16384; }}
http {{
    access_log off; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key; ssl_session_cache off; ssl_session_tickets off;
    server {{
        listen 127.0.0.1:{http} backlog=8192; listen 127.0.0.1:{https} ssl backlog=8192;
        root {folder}/pages;
    }}
}}
"""


class ToolMissing(Exception):
    """The machine lacks a program that the benchmark compares with or aims at; the message says how to get it."""


@dataclass(frozen=True)
class Websites:
    """Ports of the targets and of their name server; `ca_file` trusts theirs and 145 others or so, as a real list does."""

    http_port: int
    https_port: int
    silent_port: int
    names_port: int
    ca_file: Path


def find_program(name: str, package: str) -> str:
    """Where a program is.

    Raises:
        ToolMissing: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ToolMissing(f"{name} is not installed: apt-get install {package}")
    return found


@contextmanager
def websites(folder: Path) -> Iterator[Websites]:
    """Everything, listening on loopback until the end of the block."""
    with ExitStack() as stack:
        silent, names = (_port_of(stack.enter_context(announcing(f"tests.perf.{module}"))) for module in ("silent", "names"))
        http, https = free_port(), free_port()
        ca_file = _certificates(folder)
        (folder / "pages").mkdir()
        (folder / "pages/index.html").write_bytes(b"x" * PAGE_BYTES)
        config = folder / "nginx.conf"
        config.write_text(_NGINX.format(folder=folder, http=http, https=https))
        command = [find_program("nginx", "nginx-light"), "-c", str(config), "-e", str(folder / "nginx.log"), "-p", str(folder)]
        nginx = stack.enter_context(subprocess.Popen(command))
        stack.callback(nginx.terminate)
        wait_for_port(http)
        yield Websites(http, https, silent, names, ca_file)


def _port_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def _certificates(folder: Path) -> Path:
    """An ECDSA P-256 certificate for every name of the zone, signed by an RSA-2048 authority; returns the list of authorities."""
    authority_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    authority = _certificate(
        "Benchmark Authority", authority_key.public_key(), "Benchmark Authority", authority_key, is_authority=True
    )
    key = ec.generate_private_key(ec.SECP256R1())
    server = _certificate(f"*.{ZONE}", key.public_key(), "Benchmark Authority", authority_key, is_authority=False)
    (folder / "server.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "server.pem").write_bytes(server)
    ca_file = folder / "authorities.pem"
    ca_file.write_bytes(Path(certifi.where()).read_bytes() + authority)
    return ca_file


def _certificate(
    subject: str,
    public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    issuer: str,
    issuer_key: rsa.RSAPrivateKey,
    *,
    is_authority: bool,
) -> bytes:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(subject.replace(" ", "-"))]), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
