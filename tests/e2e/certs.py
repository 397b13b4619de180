"""Certificates for tests, made by openssl: a CA, and what it signs."""
import os
import subprocess


def openssl(*args, cwd):
    r = subprocess.run(["openssl", *args], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert r.returncode == 0, (args, r.stderr.decode())
    return r.stdout


class CA:
    """Lies in a directory of its own: NAME.pem and NAME.key for each name that was signed, ca.pem for itself."""

    def __init__(self, dir, name="ca"):
        self.dir, self.name = str(dir), name
        os.makedirs(self.dir, exist_ok=True)
        self._key(name)
        openssl("req", "-x509", "-new", "-key", name + ".key", "-out", name + ".pem", "-days", "30", "-subj", "/O=Tests/CN=" + name,
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign", cwd=self.dir)

    def _key(self, name, rsa=False):
        kind = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else \
            ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("genpkey", *kind, "-out", name + ".key", cwd=self.dir)
        os.chmod(self.path(name + ".key"), 0o600)

    def path(self, name):
        return os.path.join(self.dir, name)

    @property
    def pem(self):
        return self.path(self.name + ".pem")

    def sign(self, name, san, subject=None, rsa=False, days=30, file=None):
        """A certificate for these names; returns the paths of certificate and key. `days` below 0: it has expired."""
        file = file or name
        self._key(file, rsa)
        openssl("req", "-new", "-key", file + ".key", "-out", file + ".csr", "-subj", subject or "/O=Tests/CN=" + name, cwd=self.dir)
        with open(self.path(file + ".ext"), "w") as f:
            f.write("subjectAltName=%s\nbasicConstraints=CA:FALSE\n" % san)
        when = ["-days", str(days)]
        if days < 0:
            when = ["-not_before", "20200101000000Z", "-not_after", "20200201000000Z"]
            self._old(file)
        else:
            openssl("x509", "-req", "-in", file + ".csr", "-CA", self.name + ".pem", "-CAkey", self.name + ".key", "-CAcreateserial",
                    "-out", file + ".pem", "-extfile", file + ".ext", *when, cwd=self.dir)
        return self.path(file + ".pem"), self.path(file + ".key")

    def _old(self, file):
        """openssl x509 of Debian 12 has no start date; openssl ca has."""
        with open(self.path("ca.cnf"), "w") as f:
            f.write("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nnew_certs_dir=.\nserial=old.srl\ndefault_md=sha256\npolicy=p\n"
                    "unique_subject=no\n[p]\nO=optional\nCN=optional\n")
        open(self.path("index.txt"), "a").close()
        with open(self.path("old.srl"), "w") as f:
            f.write("7000\n")
        openssl("ca", "-batch", "-config", "ca.cnf", "-cert", self.name + ".pem", "-keyfile", self.name + ".key", "-in", file + ".csr",
                "-out", file + ".pem", "-notext", "-extfile", file + ".ext", "-startdate", "20200101000000Z", "-enddate",
                "20200201000000Z", cwd=self.dir)
