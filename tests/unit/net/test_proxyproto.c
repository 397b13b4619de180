#include "tests/unit/unit.h"

#include <stdio.h>

#include "worker/net/proxyproto.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* A whole header of version 2 in one literal. */
#define BYTES(lit) ((struct str){ lit, sizeof(lit) - 1 })

static struct arena arena;
static struct proxyproto got;

/* What proxyproto_parse() says of it, and of its every beginning: more is needed. */
static long
parse(struct str in)
{
	long took = proxyproto_parse(in, &arena, &got);
	struct proxyproto p;

	for (size_t n = 0; took > 0 && n < (size_t)took; n++) {
		/* On the heap, so that a sanitizer sees who reads behind the end. */
		char *copy = malloc(n + 1);

		memcpy(copy, in.at, n);
		ck_assert(proxyproto_parse((struct str){ copy, n }, &arena, &p) == 0);
		free(copy);
	}
	return took;
}

static void
address_is(const struct addr *a, const char *wanted)
{
	char text[ADDR_TEXT];

	unit_str_eq((struct str){ text, (size_t)(addr_put(text, a) - text) }, wanted);
}

static void
setup(void)
{
	arena_init(&arena, NULL, 0, 1 << 20);
}

START_TEST(version_1)
{
	setup();
	ck_assert_int_eq(parse(STR("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET / H")), 45);
	ck_assert_uint_eq(got.version, 1);
	ck_assert(!got.local);
	address_is(&got.from, "192.0.2.1:56324");
	address_is(&got.to, "198.51.100.2:443");
	ck_assert_int_eq(parse(STR("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n")), 36);
	address_is(&got.from, "[2001:db8::1]:0");
	address_is(&got.to, "[::1]:65535");
	ck_assert_int_gt(parse(STR("PROXY TCP6 ::ffff:10.0.0.1 ::ffff:10.0.0.2 1 2\r\n")), 0);
	address_is(&got.from, "10.0.0.1:1");
	ck_assert_int_eq(parse(STR("PROXY UNKNOWN\r\n\r\n")), 15);
	ck_assert(got.local);
	ck_assert_int_eq(parse(STR("PROXY UNKNOWN ff ff any thing 1\r\n")), 33);
	ck_assert(got.local);
}
END_TEST

START_TEST(version_1_broken)
{
	static const char *const bad[] = {
		"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\rX",
		"PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n",
		"PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 01 443\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n",
		"PROXY TCP4 192.0.2.256 198.51.100.2 1 443\r\n",
		"PROXY TCP4 192.0.2 198.51.100.2 1 443\r\n",
		"PROXY TCP4 192.0.2.1:80 198.51.100.2 1 443\r\n",
		"PROXY TCP4 ::1 ::1 1 443\r\n",
		"PROXY TCP6 192.0.2.1 198.51.100.2 1 443\r\n",
		"PROXY TCP6 192.0.2.1:0 198.51.100.2:0 1 443\r\n",
		"PROXY TCP6 [::1] ::1 1 443\r\n",
		"PROXY TCP6 fe80::1%lo ::1 1 443\r\n",
		"PROXY TCP5 ::1 ::1 1 443\r\n",
		"PROXY UDP4 192.0.2.1 198.51.100.2 1 443\r\n",
		"PROXY tcp4 192.0.2.1 198.51.100.2 1 443\r\n",
		"PROXY UNKNOWNS\r\n",
		"PROXY \r\n",
		"PROXY  TCP4 192.0.2.1 198.51.100.2 1 443\r\n",
		"proxy TCP4 192.0.2.1 198.51.100.2 1 443\r\n",
		"GET / HTTP/1.1\r\n",
		"PRI * HTTP/2.0\r\n",
	};
	char longest[120];

	setup();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		/* No line of it is complete: at 107 bytes it is refused all the same. */
		char text[200];
		long took;

		snprintf(text, sizeof(text), "%s%*s", bad[i], 120, "");
		took = proxyproto_parse(str_of(text), &arena, &got);
		ck_assert_msg(took == -1, "%ld for %s", took, bad[i]);
	}
	memset(longest, 'x', sizeof(longest));
	memcpy(longest, "PROXY UNKNOWN ", 14);
	memcpy(longest + 105, "\r\n", 2);
	ck_assert_int_eq(parse((struct str){ longest, sizeof(longest) }), 107);
	memcpy(longest + 105, "x\r\n", 3);
	ck_assert_int_eq(parse((struct str){ longest, sizeof(longest) }), -1);
	ck_assert_int_eq(parse((struct str){ longest, 107 }), -1);
	ck_assert_int_eq(parse((struct str){ longest, 106 }), 0);
}
END_TEST

START_TEST(version_2)
{
	setup();
	ck_assert_int_eq(parse(BYTES(SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbbGET")), 28);
	ck_assert_uint_eq(got.version, 2);
	ck_assert(!got.local && !got.tls && !got.ntlvs);
	address_is(&got.from, "192.0.2.1:56324");
	address_is(&got.to, "198.51.100.2:443");
	ck_assert_int_eq(parse(BYTES(SIGNATURE "\x21\x21\0\x24"
				     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
				     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\x50\x1f\x90")), 52);
	address_is(&got.from, "[2001:db8::1]:80");
	address_is(&got.to, "[::1]:8080");
}
END_TEST

START_TEST(version_2_without_addresses)
{
	static char text[16 + 216];

	setup();
	/* LOCAL: what it has besides is passed over. */
	ck_assert_int_eq(parse(BYTES(SIGNATURE "\x20\0\0\0")), 16);
	ck_assert(got.local);
	ck_assert_int_eq(parse(BYTES(SIGNATURE "\x20\xff\0\3\3\xff\xff")), 19);
	ck_assert(got.local && !got.ntlvs);
	/* PROXY, of a family unknown. */
	ck_assert_int_eq(parse(BYTES(SIGNATURE "\x21\0\0\4\x05\0\1x")), 20);
	ck_assert(got.local);
	unit_str_eq(got.unique_id, "x");
	memcpy(text, SIGNATURE "\x21\x31\0\xd8/a", 18);
	ck_assert_int_eq(parse((struct str){ text, sizeof(text) }), sizeof(text));
	ck_assert(!got.local);
	ck_assert_int_eq(got.from.family, AF_UNIX);
	/* A datagram proxy has addresses, too. */
	ck_assert_int_eq(parse(BYTES(SIGNATURE "\x21\x12\0\x0c\xc0\0\2\1\xc6\x33\x64\2\xdc\x04\x01\xbb")), 28);
	address_is(&got.from, "192.0.2.1:56324");
}
END_TEST

#define IP4 "\x0a\0\0\1\x0a\0\0\2\0\x50\0\x51"

START_TEST(version_2_tlvs)
{
	setup();
	ck_assert_int_gt(parse(BYTES(SIGNATURE "\x21\x11\0\x50" IP4
				     "\x01\0\2h2"
				     "\x02\0\x09" "a.example"
				     "\x04\0\3pad"
				     "\x05\0\4\0\r\n\xff"
				     "\xe1\0\0"
				     "\x20\0\x1c\x03\0\0\0\0" "\x21\0\7TLSv1.3" "\x22\0\3""bob" "\x23\0\4" "AES1"
				     "\x30\0\1n")), 0);
	unit_str_eq(got.alpn, "h2");
	unit_str_eq(got.authority, "a.example");
	ck_assert(str_eq(got.unique_id, BYTES("\0\r\n\xff")));
	ck_assert(got.tls && got.verified);
	unit_str_eq(got.tls_version, "TLSv1.3");
	unit_str_eq(got.cn, "bob");
	unit_str_eq(got.tls_cipher, "AES1");
	ck_assert_uint_eq(got.ntlvs, 6);
	ck_assert_uint_eq(got.tlvs[3].type, 0xe1);
	ck_assert_uint_eq(got.tlvs[3].value.len, 0);
	unit_str_eq(got.tlvs[5].value, "n");
}
END_TEST

/* A name counts only with a certificate that was verified. */
START_TEST(version_2_not_verified)
{
	setup();
	ck_assert_int_gt(parse(BYTES(SIGNATURE "\x21\x11\0\x14" IP4 "\x20\0\5\x03\0\0\0\1")), 0);
	ck_assert(got.tls && !got.verified);
	ck_assert_int_gt(parse(BYTES(SIGNATURE "\x21\x11\0\x14" IP4 "\x20\0\5\x01\0\0\0\0")), 0);
	ck_assert(got.tls && !got.verified);
	ck_assert_int_gt(parse(BYTES(SIGNATURE "\x21\x11\0\x14" IP4 "\x20\0\5\x06\0\0\0\0")), 0);
	ck_assert(!got.tls && !got.verified);
}
END_TEST

START_TEST(version_2_broken)
{
	static const struct str bad[] = {
		BYTES(SIGNATURE "\x11\x11\0\x0c" IP4),                  /* version 1 */
		BYTES(SIGNATURE "\x22\x11\0\x0c" IP4), /* no such command */
		BYTES(SIGNATURE "\x21\x41\0\x0c" IP4), /* no such family */
		BYTES(SIGNATURE "\x21\x13\0\x0c" IP4), /* no such transport */
		BYTES(SIGNATURE "\x21\x11\0\x0b" IP4), /* addresses cut */
		BYTES(SIGNATURE "\x21\x21\0\x0c" IP4),
		BYTES(SIGNATURE "\x21\x31\0\x0c" IP4),
		BYTES(SIGNATURE "\x21\x11\x0f\xf1" IP4), /* longer than a page */
		BYTES(SIGNATURE "\x21\x11\0\x0e" IP4 "\x01\0"),         /* half a TLV */
		BYTES(SIGNATURE "\x21\x11\0\x10" IP4 "\x01\0\2h"),      /* one that goes on behind the end */
		BYTES(SIGNATURE "\x21\x11\0\x0f" IP4 "\x03\0\0"),       /* an empty checksum */
		BYTES(SIGNATURE "\x21\x11\0\x13" IP4 "\x03\0\4\0\0\0\0"),       /* a wrong one */
		BYTES(SIGNATURE "\x21\x11\0\x13" IP4 "\x20\0\4\1\0\0\0"),       /* SSL cut */
		BYTES(SIGNATURE "\x21\x11\0\x16" IP4 "\x20\0\7\1\0\0\0\0\x22\0"),
		BYTES(SIGNATURE "\x21\x11\0\x18" IP4 "\x20\0\x09\1\0\0\0\0\x22\0\2x"),
		BYTES(SIGNATURE "\x21\x11\0\x12" IP4 "\x02\0\3a\rb"),   /* what could split a header */
		BYTES(SIGNATURE "\x21\x11\0\x19" IP4 "\x20\0\x0a\1\0\0\0\0\x22\0\2x\n"),
	};

	setup();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(proxyproto_parse(bad[i], &arena, &got) == -1, "number %zu was taken", i);
}
END_TEST

START_TEST(an_id_has_at_most_128_bytes)
{
	char text[16 + 12 + 3 + 129] = SIGNATURE "\x21\x11\0\x8f" IP4 "\x05\0\x80";

	setup();
	ck_assert_int_gt(parse((struct str){ text, sizeof(text) }), 0);
	ck_assert_uint_eq(got.unique_id.len, 128);
	text[15]++;
	text[16 + 12 + 2]++;
	ck_assert_int_eq(parse((struct str){ text, sizeof(text) }), -1);
}
END_TEST

START_TEST(beginnings)
{
	setup();
	ck_assert_int_eq(proxyproto_begins(STR("")), 0);
	ck_assert_int_eq(proxyproto_begins(STR("PR")), 0);
	ck_assert_int_eq(proxyproto_begins(STR("PRI")), -1);
	ck_assert_int_eq(proxyproto_begins(STR("PROXY ")), 1);
	ck_assert_int_eq(proxyproto_begins(STR("\r\n")), 0);
	ck_assert_int_eq(proxyproto_begins(STR("\r\nGET")), -1);
	ck_assert_int_eq(proxyproto_begins(BYTES(SIGNATURE)), 1);
	ck_assert_int_eq(proxyproto_begins(STR("\x16\x03\x01")), -1);
}
END_TEST

static struct proxyproto
again(int version, const struct proxyproto *p)
{
	static char text[PROXYPROTO_MAX];
	size_t n = proxyproto_put(text, version, p);

	ck_assert_uint_le(n, sizeof(text));
	ck_assert_int_eq(parse((struct str){ text, n }), (long)n);
	ck_assert_uint_eq(got.version, version);
	return got;
}

START_TEST(what_is_written_is_read)
{
	static const char *const pairs[][2] = {
		{ "192.0.2.1:56324", "198.51.100.2:443" },
		{ "[2001:db8::1]:1", "[2001:db8::2]:2" },
		{ "[2001:db8::1]:1", "10.0.0.1:2" },
		{ "10.0.0.1:3", "[::1]:65535" },
	};
	static const struct proxyproto_tlv other[] = { { 0xe0, BYTES("\0\1") }, { 0x01, BYTES("twice") } };
	struct proxyproto p = {
		.authority = STR("a.example"), .alpn = STR("h2"), .unique_id = BYTES("\0id"),
		.tls = true, .verified = true, .cn = STR("bob"), .tls_version = STR("TLSv1.2"),
		.tls_cipher = STR("X"), .tlvs = other, .ntlvs = 2,
	};
	struct proxyproto q;

	setup();
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		ck_assert(addr_parse(&p.from, str_of(pairs[i][0])));
		ck_assert(addr_parse(&p.to, str_of(pairs[i][1])));
		q = again(1, &p);
		ck_assert_mem_eq(&q.from, &p.from, sizeof(p.from));
		ck_assert_mem_eq(&q.to, &p.to, sizeof(p.to));
		q = again(2, &p);
		ck_assert_mem_eq(&q.from, &p.from, sizeof(p.from));
		ck_assert_mem_eq(&q.to, &p.to, sizeof(p.to));
		unit_str_eq(q.authority, "a.example");
		unit_str_eq(q.alpn, "h2");
		ck_assert(str_eq(q.unique_id, p.unique_id));
		ck_assert(q.tls && q.verified);
		unit_str_eq(q.cn, "bob");
		unit_str_eq(q.tls_version, "TLSv1.2");
		unit_str_eq(q.tls_cipher, "X");
		ck_assert_uint_eq(q.ntlvs, 5);
		ck_assert_uint_eq(q.tlvs[4].type, 0xe0);
	}
	p.verified = false;
	q = again(2, &p);
	ck_assert(q.tls && !q.verified);
	p.local = true;
	ck_assert(again(1, &p).local);
	ck_assert(again(2, &p).local);
	p = (struct proxyproto){ .from = { .family = AF_UNIX } };
	ck_assert(again(1, &p).local);
	ck_assert(again(2, &p).local);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out)
{
	static char much[5000];
	struct proxyproto p = { .authority = STR("a"), .tls = true };
	struct proxyproto_tlv many[2000] = { { .type = 0 } };

	setup();
	memset(much, 'x', sizeof(much));
	p.cn = (struct str){ much, sizeof(much) };
	ck_assert(addr_parse(&p.from, STR("10.0.0.1:1")) && addr_parse(&p.to, STR("10.0.0.1:2")));
	again(2, &p);
	unit_str_eq(got.authority, "a");
	ck_assert(got.tls);
	ck_assert_uint_eq(got.cn.len, 0);
	for (size_t i = 0; i < 2000; i++)
		many[i] = (struct proxyproto_tlv){ 0xe0, { much, i % 9 } };
	p.tlvs = many;
	p.ntlvs = 2000;
	again(2, &p);
	ck_assert_uint_gt(got.ntlvs, 300);
}
END_TEST

/* CRC-32C of RFC 3720 §B.4, computed the slow way. */
START_TEST(the_checksum_is_crc32c)
{
	struct proxyproto p = { .local = false };
	char text[PROXYPROTO_MAX];
	uint32_t crc = 0xffffffff;
	size_t n;

	setup();
	ck_assert(addr_parse(&p.from, STR("10.0.0.1:1")) && addr_parse(&p.to, STR("10.0.0.1:2")));
	n = proxyproto_put(text, 2, &p);
	ck_assert_uint_eq(n, 16 + 12 + 7);
	for (size_t i = 0; i < n; i++) {
		crc ^= i < n - 4 ? (uint8_t)text[i] : 0;
		for (int k = 0; k < 8; k++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	crc = ~crc;
	for (int i = 0; i < 4; i++)
		ck_assert((uint8_t)text[n - 4 + (size_t)i] ==
			  (crc >> (24 - 8 * i) & 0xff));
	for (size_t i = 16; i < n; i++) {
		if (i == n - 7)         /* its type: then it is no checksum */
			continue;
		text[i] ^= 4;
		ck_assert(proxyproto_parse((struct str){ text, n }, &arena, &got) <= 0);
		text[i] ^= 4;
	}
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		version_1,
		version_1_broken,
		version_2,
		version_2_without_addresses,
		version_2_tlvs,
		version_2_not_verified,
		version_2_broken,
		an_id_has_at_most_128_bytes,
		beginnings,
		what_is_written_is_read,
		what_does_not_fit_is_left_out,
		the_checksum_is_crc32c,
	};

	return unit_run("proxyproto", tests, sizeof(tests) / sizeof(*tests));
}
