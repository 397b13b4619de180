/* h1_scan — where a run of allowed bytes ends: the inner loops of h1_parse and h1_write.
 *
 * Each comes twice, with the same results: by table (…_plain), and by 16 bytes at a time where SSE2 is
 * there (…_sse2; SCAN_PLAIN turns it off). Nothing outside [lo, end) is read: a rest of less than 16 bytes is looked
 * at through the last 16 bytes before `end`, hence `lo`, from where on memory may be read. */
#ifndef HTTP_H1_SCAN_H
#define HTTP_H1_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__SSE2__) && !defined(SCAN_PLAIN)
#define SCAN_SSE2 1
#include <emmintrin.h>
#endif

enum {
	SCAN_TOKEN = 1,                 /* tchar (RFC 9110 §5.6.2) */
	SCAN_TARGET = 2,                /* visible ASCII but "#" */
	SCAN_VALUE = 4,                 /* HTAB, SP, visible ASCII, obs-text (RFC 9110 §5.5) */
	SCAN_HOST = 8,                  /* letters, digits, "-", ".": what most hosts are made of */
	SCAN_PATH = 16,                 /* all but "?" */
};

extern const uint8_t scan_class[256];

static inline const char *
scan_plain(const char *p, const char *end, uint8_t class)
{
	while (p < end && scan_class[(unsigned char)*p] & class)
		p++;
	return p;
}

static inline const char *
scan_name_plain(const char *p, const char *end, const char *lo)
{
	(void)lo;
	return scan_plain(p, end, SCAN_TOKEN);
}

static inline const char *
scan_value_plain(const char *p, const char *end, const char *lo)
{
	(void)lo;
	return scan_plain(p, end, SCAN_VALUE);
}

static inline const char *
scan_target_plain(const char *p, const char *end, const char *lo)
{
	(void)lo;
	return scan_plain(p, end, SCAN_TARGET);
}

static inline const char *
scan_host_plain(const char *p, const char *end, const char *lo)
{
	(void)lo;
	return scan_plain(p, end, SCAN_HOST);
}

static inline const char *
scan_path_plain(const char *p, const char *end, const char *lo)
{
	(void)lo;
	return scan_plain(p, end, SCAN_PATH);
}

static inline const char *
scan_target_mark_plain(const char *p, const char *end, const char *lo, const char **mark)
{
	end = scan_target_plain(p, end, lo);
	*mark = scan_path_plain(p, end, lo);
	return end;
}

#ifdef SCAN_SSE2
/* One bit for each of 16 bytes that ends the run. */
static inline __m128i
scan_is_alnum_or(__m128i x, char one)
{
	/* Signed comparisons: the wanted range is shifted to the lower end of int8_t. */
	__m128i low = _mm_or_si128(x, _mm_set1_epi8(0x20));
	__m128i alpha = _mm_cmplt_epi8(_mm_add_epi8(low, _mm_set1_epi8((char)(0x80 - 'a'))),
				       _mm_set1_epi8(-128 + 26));
	__m128i digit = _mm_cmplt_epi8(_mm_add_epi8(x, _mm_set1_epi8((char)(0x80 - '0'))),
				       _mm_set1_epi8(-128 + 10));
	__m128i is_one = _mm_cmpeq_epi8(x, _mm_set1_epi8(one));

	return _mm_or_si128(_mm_or_si128(alpha, digit), is_one);
}

static inline unsigned
scan_ends_name(__m128i x)
{
	return ~(unsigned)_mm_movemask_epi8(scan_is_alnum_or(x, '-')) & 0xffff;
}

static inline unsigned
scan_ends_host(__m128i x)
{
	__m128i dot = _mm_cmpeq_epi8(x, _mm_set1_epi8('.'));

	return ~(unsigned)_mm_movemask_epi8(_mm_or_si128(scan_is_alnum_or(x, '-'), dot)) & 0xffff;
}

static inline unsigned
scan_ends_path(__m128i x)
{
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('?')));
}

static inline unsigned
scan_ends_value(__m128i x)
{
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
	__m128i tab = _mm_cmpeq_epi8(x, _mm_set1_epi8('\t'));
	__m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, control), del));
}

static inline unsigned
scan_ends_target(__m128i x)
{
	__m128i ok = _mm_cmpgt_epi8(x, _mm_set1_epi8(0x20));    /* signed: not 0x80 and up */
	__m128i del = _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f));
	__m128i hash = _mm_cmpeq_epi8(x, _mm_set1_epi8('#'));

	ok = _mm_andnot_si128(_mm_or_si128(del, hash), ok);
	return ~(unsigned)_mm_movemask_epi8(ok) & 0xffff;
}

static inline __m128i
scan_load(const char *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static inline __attribute__((always_inline)) const char *
scan_sse2(const char *p, const char *end, const char *lo, unsigned (*ends_of)(__m128i),
	  uint8_t class)
{
	unsigned ends;

	for (; end - p >= 16; p += 16)
		if ((ends = ends_of(scan_load(p))))
			return p + __builtin_ctz(ends);
	if (p == end)
		return end;
	if (end - lo < 16)
		return scan_plain(p, end, class);
	ends = ends_of(scan_load(end - 16)) >> (16 - (end - p));
	return ends ? p + __builtin_ctz(ends) : end;
}

static inline const char *
scan_name_sse2(const char *p, const char *end, const char *lo)
{
	p = scan_sse2(p, end, lo, scan_ends_name, SCAN_TOKEN);
	if (p < end && *p == ':')
		return p;
	return scan_plain(p, end, SCAN_TOKEN);  /* "_" and other rare ones */
}

static inline const char *
scan_value_sse2(const char *p, const char *end, const char *lo)
{
	return scan_sse2(p, end, lo, scan_ends_value, SCAN_VALUE);
}

static inline const char *
scan_target_sse2(const char *p, const char *end, const char *lo)
{
	return scan_sse2(p, end, lo, scan_ends_target, SCAN_TARGET);
}

static inline const char *
scan_host_sse2(const char *p, const char *end, const char *lo)
{
	return scan_sse2(p, end, lo, scan_ends_host, SCAN_HOST);
}

static inline const char *
scan_path_sse2(const char *p, const char *end, const char *lo)
{
	return scan_sse2(p, end, lo, scan_ends_path, SCAN_PATH);
}

/* scan_target(), and in *mark where the first "?" stands, or the end of the run. */
static inline const char *
scan_target_mark_sse2(const char *p, const char *end, const char *lo, const char **mark)
{
	if (end - p >= 16) {
		__m128i x = scan_load(p);
		unsigned ends = scan_ends_target(x);

		if (ends) {
			*mark = p + __builtin_ctz(scan_ends_path(x) | ends);
			return p + __builtin_ctz(ends);
		}
	}
	end = scan_target_sse2(p, end, lo);
	*mark = scan_path_sse2(p, end, lo);
	return end;
}

#define scan_name scan_name_sse2
#define scan_target_mark scan_target_mark_sse2
#define scan_host scan_host_sse2
#define scan_path scan_path_sse2
#define scan_value scan_value_sse2
#define scan_target scan_target_sse2
#else
#define scan_name scan_name_plain
#define scan_target_mark scan_target_mark_plain
#define scan_host scan_host_plain
#define scan_path scan_path_plain
#define scan_value scan_value_plain
#define scan_target scan_target_plain
#endif

#endif
