"""pki — real certificates for tests, made by openssl.

    pki = Pki(dir)                          # an authority "ca"
    cert, key = pki.cert("server", "api.example.com", san=["DNS:api.example.com"])
    pki.revoke("mallory"); crl = pki.crl()

Files lie in `dir`: NAME.pem (the certificate alone), NAME.key; of an authority NAME.pem too.
"""
import os
import subprocess

CONF = """
[ca]
default_ca = it
[it]
dir = {dir}
database = {dir}/{ca}.index
serial = {dir}/{ca}.serial
crlnumber = {dir}/{ca}.crlnumber
new_certs_dir = {dir}/{ca}.issued
certificate = {dir}/{ca}.pem
private_key = {dir}/{ca}.key
default_md = sha256
default_days = 365
default_crl_days = 30
policy = any
unique_subject = no
copy_extensions = none
string_mask = utf8only
[any]
commonName = optional
organizationName = optional
countryName = optional
[req]
distinguished_name = dn
prompt = no
utf8 = yes
string_mask = utf8only
[dn]
"""


def openssl(*args, input=None):
    p = subprocess.run(["openssl", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, input=input)
    assert p.returncode == 0, "openssl %s: %s" % (" ".join(args), p.stderr.decode(errors="replace"))
    return p.stdout


class Pki:
    def __init__(self, dir):
        self.dir = str(dir)
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o755)
        self.authority("ca", "Test CA")

    def path(self, name):
        return os.path.join(self.dir, name)

    def _write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def _conf(self, ca, extensions):
        return self._write("conf", CONF.format(dir=self.dir, ca=ca) + "[ext]\n" + "\n".join(extensions) + "\n")

    def _key(self, name, rsa):
        key = self.path(name + ".key")
        kind = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else \
            ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("genpkey", *kind, "-out", key)
        os.chmod(key, 0o600)
        return key

    def authority(self, name, cn, issuer=None):
        """A root, or one that `issuer` has signed."""
        extensions = ["basicConstraints = critical,CA:TRUE", "keyUsage = critical,keyCertSign,cRLSign",
                      "subjectKeyIdentifier = hash"]
        key = self._key(name, False)
        os.makedirs(self.path(name + ".issued"), exist_ok=True)
        for f, text in ((".index", ""), (".serial", "1000\n"), (".crlnumber", "01\n")):
            self._write(name + f, text)
        if issuer:
            self._sign(name, cn, issuer, extensions, [])
        else:
            openssl("req", "-x509", "-new", "-key", key, "-subj", "/CN=" + cn, "-days", "3650",
                    "-config", self._conf(name, extensions), "-extensions", "ext", "-out", self.path(name + ".pem"))
        return self.path(name + ".pem")

    def _sign(self, name, subject, ca, extensions, dates):
        conf = self._conf(ca, extensions)
        subj = subject if subject.startswith("/") else "/CN=" + subject
        openssl("req", "-new", "-key", self.path(name + ".key"), "-subj", subj, "-utf8", "-config", conf,
                "-out", self.path(name + ".csr"))
        openssl("ca", "-batch", "-notext", "-config", conf, "-extensions", "ext", "-preserveDN", "-utf8",
                "-in", self.path(name + ".csr"), "-out", self.path(name + ".pem"), *dates)

    def cert(self, name, subject, san=(), ca="ca", rsa=False, start=None, end=None, usage=None):
        """`subject`: a CN, or "/O=…/CN=…"; `san`: "DNS:…", "URI:…", "IP:…"; `start`, `end`: "20200101000000Z". The paths
        of certificate and key."""
        key = self._key(name, rsa)
        extensions = ["basicConstraints = CA:FALSE", "authorityKeyIdentifier = keyid",
                      "extendedKeyUsage = " + (usage or "serverAuth,clientAuth")]
        if san:
            extensions.append("subjectAltName = " + ",".join(san))
        dates = (["-startdate", start] if start else []) + (["-enddate", end] if end else [])
        self._sign(name, subject, ca, extensions, dates)
        return self.path(name + ".pem"), key

    def chain(self, name, *authorities):
        """NAME.chain.pem: the certificate and those between it and the root."""
        text = "".join(open(self.path(n + ".pem")).read() for n in (name, *authorities))
        return self._write(name + ".chain.pem", text)

    def revoke(self, name, ca="ca"):
        openssl("ca", "-config", self._conf(ca, []), "-revoke", self.path(name + ".pem"))

    def crl(self, ca="ca"):
        openssl("ca", "-config", self._conf(ca, []), "-gencrl", "-out", self.path(ca + ".crl"))
        return self.path(ca + ".crl")

    def der(self, name):
        return openssl("x509", "-in", self.path(name + ".pem"), "-outform", "der")

    def field(self, name, *args):
        """What openssl x509 prints, after the first "="."""
        return openssl("x509", "-in", self.path(name + ".pem"), "-noout", *args).decode().strip().split("=", 1)[1]
