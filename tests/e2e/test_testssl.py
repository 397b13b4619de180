"""What testssl.sh says of a listener with nothing but a certificate: no weakness above LOW, and HSTS seen."""
import json
import shutil
import subprocess

import pytest

from certs import CA
from harness import SANITIZED, config

# Of the certificate of this test and its name; content; what the local openssl cannot try.
NOT_OURS = {"cert_revocation", "cert_trust", "cert_chain_of_trust", "cert_commonName_wo_SNI", "DNS_CAArecord", "security_headers", "engine_problem"}
HSTS = 'hsts: { type = "headers"; response: { set: { Strict-Transport-Security = "max-age=63072000; includeSubDomains"; }; }; };'


@pytest.mark.slow
@pytest.mark.skipif(SANITIZED, reason="many handshakes: the plain build is asked")
@pytest.mark.skipif(not shutil.which("testssl"), reason="Debian's package testssl.sh is missing")
def test_no_weakness(gateway, origin, tmp_path):
    cert, key = CA(tmp_path).sign("api", "DNS:api.example,IP:127.0.0.1", days=300)
    g = gateway(config(origin(), policies=HSTS, service='policies = [ "hsts" ];',
                       listener='http = [ "h2", "1.1" ]; tls: { cert = "%s"; key = "%s"; };' % (cert, key)))
    said = subprocess.run(["testssl", "--quiet", "--color", "0", "--warnings", "off", "--fast", "--jsonfile", str(tmp_path / "said.json"),
                           "-p", "-s", "-f", "-P", "-S", "-h", "-U", "127.0.0.1:%d" % g.port],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=170)
    found = {f["id"]: f for f in json.loads((tmp_path / "said.json").read_text())}
    assert len(found) > 60 and found["TLS1_3"]["severity"] == "OK" and found["heartbleed"]["severity"] == "OK", said.stdout.decode()
    assert found["TLS1"]["finding"] == "not offered" and found["TLS1_1"]["finding"] == "not offered"
    assert found["HSTS_time"]["severity"] == "OK" and found["ALPN_HTTP2"]["severity"] == "OK"
    bad = [f for i, f in found.items() if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL") and i not in NOT_OURS]
    assert not bad, bad
