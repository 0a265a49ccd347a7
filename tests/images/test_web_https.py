"""images/web/certify: the certificates a web server makes at its start, and where its secrets lie; no container needed."""

from __future__ import annotations

import re
import ssl
import stat
import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "images" / "web"
NAME = "www.someschool.edu"


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("issued") / "tls"
    subprocess.run([WEB / "certify", NAME, folder], check=True)
    return folder


def shake_hands(issued: Path, asked: str, authority: Path) -> None:
    """A handshake between two real implementations in memory; SSLCertVerificationError when the client refuses."""
    ours = ssl.create_default_context(cafile=str(authority))
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(issued / "server.pem", issued / "server.key")
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ours.wrap_bio(down, up, server_hostname=asked)
    server = theirs.wrap_bio(up, down, server_side=True)
    for side in (client, server) * 2:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.getpeercert()


def test_who_trusts_the_authority_believes_the_server_its_name_and_no_other(issued: Path) -> None:
    shake_hands(issued, NAME, issued / "authority.pem")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(issued, "web.someschool.edu", issued / "authority.pem")


def test_another_server_s_authority_vouches_for_nobody_here(issued: Path, tmp_path: Path) -> None:
    subprocess.run([WEB / "certify", NAME, tmp_path / "other"], check=True)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(issued, NAME, tmp_path / "other" / "authority.pem")


def test_the_authority_s_key_is_gone_and_nobody_else_reads_what_is_left(issued: Path) -> None:
    assert {file.name for file in issued.iterdir()} == {"authority.pem", "server.key", "server.pem"}
    for path in (issued, *issued.iterdir()):
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO), path


def test_a_second_start_makes_everything_anew(issued: Path, tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run([WEB / "certify", NAME, tmp_path / "tls"], check=True)
    assert (tmp_path / "tls" / "server.key").read_bytes() != (issued / "server.key").read_bytes()


def test_what_openssl_says_is_told_when_it_fails(tmp_path: Path) -> None:
    done = subprocess.run([WEB / "certify", NAME * 10, tmp_path / "tls"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("certify: ")
    assert not done.stdout


def test_no_key_lies_in_the_image() -> None:
    texts = [file.read_bytes() for file in WEB.rglob("*") if file.is_file()]
    assert not [text for text in texts if b"PRIVATE KEY" in text]


def test_https_is_the_same_site_on_another_port() -> None:
    block = (WEB / "https.conf").read_text()
    assert re.search(r"listen 443 ssl default_server;", block)
    assert "include /appbed/site.conf;" in block
