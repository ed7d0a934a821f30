"""HTTPS by settings, renewed on SIGHUP; in the clear it is said who can read along."""

import signal
import ssl
from pathlib import Path

import httpx2
from support.tls import make_authority

from ..conftest import Server, run_command, running


def asked(server: Server, *, ca: Path, **options: object) -> httpx2.Response:
    trusted = ssl.create_default_context(cafile=ca)
    return httpx2.get(f"{server.url}/login", verify=trusted, trust_env=False, **options)  # type: ignore[arg-type]


def is_trusted(server: Server, ca: Path) -> bool:
    try:
        return asked(server, ca=ca).status_code == 200
    except httpx2.ConnectError:
        return False


def files(folder: Path) -> dict[str, str]:
    return {"tls_certificate": str(folder / "server.pem"), "tls_key": str(folder / "server.key")}


def test_it_serves_https_and_takes_a_new_certificate_without_a_stop(tmp_path: Path) -> None:
    first, second = make_authority(tmp_path / "tls"), make_authority(tmp_path / "other")
    with running(tmp_path / "home", **files(tmp_path / "tls")) as server:
        assert server.url.startswith("https://")
        answer = asked(server, ca=first.ca)
        assert "max-age" in answer.headers["strict-transport-security"]
        with server.at_home() as owner:
            code = owner.post("/v1/login-links").json()["path"].partition("code=")[2]
        entered = httpx2.post(
            f"{server.url}/login",
            data={"code": code},
            verify=ssl.create_default_context(cafile=first.ca),
            trust_env=False,
        )
        cookie = entered.headers["set-cookie"]
        assert cookie.startswith("__Host-fumehood=") and "Secure" in cookie
        for name in ("server.pem", "server.key"):
            (tmp_path / "tls" / name).write_bytes((tmp_path / "other" / name).read_bytes())
        server.process.send_signal(signal.SIGHUP)
        with server.at_home() as owner:
            while not is_trusted(server, second.ca):
                assert owner.get("/healthz").status_code == 200
        (tmp_path / "tls/server.key").write_text("nonsense")
        server.process.send_signal(signal.SIGHUP)
        with server.at_home() as owner:
            while "is not renewed" not in (tmp_path / "home.log").read_text():
                assert owner.get("/healthz").status_code == 200
        assert is_trusted(server, second.ca), "what was right goes on"


def test_a_key_of_another_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    make_authority(tmp_path / "one")
    make_authority(tmp_path / "two")
    environ = {
        "FUMEHOOD_HOME": str(tmp_path / "home"),
        "FUMEHOOD_TLS_CERTIFICATE": str(tmp_path / "one/server.pem"),
        "FUMEHOOD_TLS_KEY": str(tmp_path / "two/server.key"),
    }
    refused = run_command("up", "--port", "0", environ=environ)
    assert (refused.returncode, "do not fit" in refused.stderr) == (2, True), refused.stderr
    half = {name: value for name, value in environ.items() if not name.endswith("KEY")}
    refused = run_command("up", "--port", "0", environ=half)
    assert (refused.returncode, "tls_key is not set" in refused.stderr) == (2, True)


def test_an_address_for_all_without_tls_is_warned_of(tmp_path: Path) -> None:
    with running(tmp_path / "home", host="0.0.0.0"):
        pass
    assert "in the clear" in (tmp_path / "home.log").read_text()
