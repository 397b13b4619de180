#!/bin/sh
# certs.sh DIR — certificates to try the samples with: authorities, servers, clients, a list of
# revoked ones, an answer to be stapled. For a laptop and for tests; real ones come from an
# authority. What is there already stays. Needs openssl.
#
#   ca.pem                the authority of the house: its root
#   api.pem api.key       api.example.com, *.api.example.com: chain and key (ECDSA); api.ocsp is stapled
#   api-rsa.pem .key      the same, RSA, for old clients
#   inside.pem .key       orders.internal, billing.internal and others, localhost, 127.0.0.1, ::1
#   gateway.pem .key      what the gateway shows to others as a client
#   partners-ca.pem       whose certificates partners show; partners.crl: those that are revoked
#   partner.pem .key      a partner; former.pem .key: one that is revoked; both.pem: partner in one file
#   stranger.pem .key     a client that an unknown authority vouches for
#   vendor-ca.pem         the authority of an external service
#   vendor.pem .key       its server: *.example.net, localhost, 127.0.0.1
#   expired.pem .key      the same, expired
#   vendor.secret         a secret that the vendor has given
set -eu
[ $# = 1 ] || { echo "usage: certs.sh DIR" >&2; exit 2; }
mkdir -p "$1"
cd "$1"
[ ! -f complete ] || exit 0
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/ca.cnf" <<'END'
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[issuing]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = ${ENV::SAN}
[ca]
default_ca = here
[here]
database = ${ENV::DB}
default_md = sha256
default_crl_days = 3650
END
export SAN=DNS:none DB="$work/none"

# key FILE [rsa]
key()
{
	if [ "${2:-}" = rsa ]; then
		openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1" 2>/dev/null
	else
		openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null
	fi
}

# root NAME SUBJECT: a root in NAME.pem, whose key only lives as long as this script
root()
{
	key "$work/$1.key"
	openssl req -x509 -config "$work/ca.cnf" -extensions root -new -key "$work/$1.key" -subj "$2" \
		-days 3650 -out "$1.pem" 2>/dev/null
	cp "$1.pem" "$work/$1.pem"
}

# issued BY KEYFILE SUBJECT EXTENSIONS OUT [DAYS]
issued()
{
	openssl req -config "$work/ca.cnf" -new -key "$2" -subj "$3" -out "$work/csr" 2>/dev/null
	openssl x509 -req -in "$work/csr" -CA "$work/$1.pem" -CAkey "$work/$1.key" \
		-set_serial "0x$(openssl rand -hex 8)" -sha256 -days "${6:-825}" \
		-extfile "$work/ca.cnf" -extensions "$4" -out "$5" 2>/dev/null
}

# leaf BY NAME SUBJECT SANS [rsa]: NAME.key, and NAME.pem with the issuer behind it
leaf()
{
	key "$2.key" "${5:-}"
	SAN=$4 issued "$1" "$2.key" "$3" leaf "$work/leaf.pem"
	cat "$work/leaf.pem" >"$2.pem"
	[ ! -f "$work/$1.chain" ] || cat "$work/$1.chain" >>"$2.pem"
}

root ca "/O=House/CN=House Root"
key "$work/issuing.key"
issued ca "$work/issuing.key" "/O=House/CN=House Issuing" issuing "$work/issuing.pem" 1825
cp "$work/issuing.pem" "$work/issuing.chain"
leaf issuing api "/CN=api.example.com" "DNS:api.example.com,DNS:*.api.example.com"
leaf issuing api-rsa "/CN=api.example.com" "DNS:api.example.com,DNS:*.api.example.com" rsa
leaf issuing inside "/CN=inside" "DNS:orders.internal,DNS:billing.internal,DNS:stock.internal,DNS:search.internal,DNS:localhost,IP:127.0.0.1,IP:::1"
leaf issuing gateway "/O=House/CN=gateway" "DNS:gateway.internal,URI:spiffe://house.internal/gateway"

root partners-ca "/O=Partners/CN=Partners Root"
leaf partners-ca partner "/O=Acme/CN=acme" "DNS:client.acme.example,URI:spiffe://acme.example/billing"
leaf partners-ca former "/O=Initech/CN=initech" "DNS:client.initech.example"
cat partner.pem partner.key >both.pem
DB=$work/partners.db
: >"$DB"
: >"$DB.attr"
openssl ca -config "$work/ca.cnf" -keyfile "$work/partners-ca.key" -cert partners-ca.pem \
	-revoke former.pem 2>/dev/null
openssl ca -config "$work/ca.cnf" -keyfile "$work/partners-ca.key" -cert partners-ca.pem \
	-gencrl -out partners.crl 2>/dev/null

root stranger-ca "/O=Nobody/CN=Nobody Root"
leaf stranger-ca stranger "/CN=acme" "DNS:client.acme.example"

root vendor-ca "/O=Vendor/CN=Vendor Root"
leaf vendor-ca vendor "/CN=rates.example.net" "DNS:*.example.net,DNS:localhost,IP:127.0.0.1"
key expired.key
DB=$work/vendor.db
: >"$DB"
SAN=DNS:*.example.net,DNS:localhost,IP:127.0.0.1
openssl req -config "$work/ca.cnf" -new -key expired.key -subj "/CN=rates.example.net" -out "$work/csr" 2>/dev/null
cat >>"$work/ca.cnf" <<'END'
policy = any
new_certs_dir = ${ENV::WORK}
rand_serial = yes
[any]
commonName = supplied
END
WORK=$work openssl ca -batch -config "$work/ca.cnf" -keyfile "$work/vendor-ca.key" -cert vendor-ca.pem \
	-in "$work/csr" -startdate 20240101000000Z -enddate 20240201000000Z -extensions leaf \
	-notext -out expired.pem 2>/dev/null

# What the authority says of api.pem, for ten years.
DB=$work/house.db
openssl x509 -in api.pem -noout -serial -enddate -subject -nameopt compat >"$work/facts"
serial=$(sed -n 's/^serial=//p' "$work/facts")
printf 'V\t360101000000Z\t\t%s\tunknown\t/CN=api.example.com\n' "$serial" >"$DB"
openssl ocsp -index "$DB" -rsigner "$work/issuing.pem" -rkey "$work/issuing.key" -CA "$work/issuing.pem" \
	-issuer "$work/issuing.pem" -cert api.pem -ndays 3650 -respout api.ocsp >/dev/null 2>&1

openssl rand -hex 24 >vendor.secret
chmod 0644 ./*.pem ./*.crl api.ocsp
chmod 0600 both.pem ./*.key vendor.secret
: >complete
