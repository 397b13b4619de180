#include "base/regex.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/log.h"

/* A backtracking step costs 10 to 50 ns: a match ends within some milliseconds. */
enum {
	LIMIT_STEPS = 100000,
	LIMIT_DEPTH = 20000,
	LIMIT_HEAP_KB = 4096,
	LIMIT_PATTERN = 8192,
	JIT_STACK_FIRST = 32 * 1024,
	JIT_STACK_MAX = 512 * 1024,
};

struct regex_jit {
	size_t n;
	pcre2_code *code[];             /* by id; NULL: matched by the interpreter */
};

/* What this process matches with. Kept, so that a match allocates nothing. */
static struct {
	pcre2_match_data *data;
	pcre2_match_context *limits;
} mine;

/* PCRE2 stores its allocator in the code and asks it again for every copy. The arena is
 * therefore not its argument, which a worker would find dangling, but this: set only
 * while a compiled pattern is copied into an image. */
static struct arena *into;

static void *
take(size_t size, void *unused)
{
	(void)unused;
	return into ? arena_alloc_aligned(into, size, 16) : malloc(size);
}

static void
give(void *p, void *unused)
{
	(void)unused;
	if (!into)
		free(p);
}

/* Compiled on the heap, then copied, so that no scratch memory stays in the image. */
static pcre2_code *
compile(struct arena *a, struct str pattern, bool caseless, int *error, size_t *offset)
{
	uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_DOLLAR_ENDONLY |
			   (caseless ? PCRE2_CASELESS : 0);
	pcre2_general_context *memory = pcre2_general_context_create(take, give, NULL);
	pcre2_compile_context *how = memory ? pcre2_compile_context_create(memory) : NULL;

	if (!how)
		abort();
	pcre2_set_max_pattern_length(how, LIMIT_PATTERN);

	PCRE2_SPTR text = (PCRE2_SPTR)(pattern.at ? pattern.at : "");
	pcre2_code *code = pcre2_compile(text, pattern.len, options, error, offset, how);
	pcre2_code *copy = NULL;

	if (code) {
		into = a;
		copy = pcre2_code_copy(code);
		into = NULL;
		pcre2_code_free(code);
	}
	pcre2_compile_context_free(how);
	pcre2_general_context_free(memory);
	return copy;
}

static void
take_names(struct regex *r, struct arena *a)
{
	uint32_t count, size;
	const unsigned char *entry;

	r->names = ARENA_NEWS(a, struct str, r->groups);
	pcre2_pattern_info(r->code, PCRE2_INFO_NAMECOUNT, &count);
	pcre2_pattern_info(r->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
	pcre2_pattern_info(r->code, PCRE2_INFO_NAMETABLE, &entry);
	for (uint32_t i = 0; i < count; i++, entry += size) {
		unsigned group = (unsigned)entry[0] << 8 | entry[1];

		if (group >= 1 && group <= r->groups)
			r->names[group - 1] =
				arena_str(a, str_of((const char *)entry + 2));
	}
}

struct regex *
regex_compile(struct arena *a, struct str pattern, bool caseless, struct str *error,
	      size_t *offset)
{
	int code_of_error = 0;
	size_t at = 0;
	pcre2_code *code = compile(a, pattern, caseless, &code_of_error, &at);

	if (!code) {
		unsigned char text[160];

		pcre2_get_error_message(code_of_error, text, sizeof(text));
		*error = arena_str(a, str_of((const char *)text));
		*offset = at < pattern.len ? at : pattern.len;
		return NULL;
	}

	uint32_t groups;

	pcre2_pattern_info(code, PCRE2_INFO_CAPTURECOUNT, &groups);
	if (groups >= REGEX_GROUPS) {
		*error = arena_printf(a, "%u capture groups; at most %d are kept", groups,
				      REGEX_GROUPS - 1);
		*offset = 0;
		return NULL;
	}

	struct regex *r = ARENA_NEW(a, struct regex);

	r->code = code;
	r->pattern = arena_str(a, pattern);
	r->groups = (uint16_t)groups;
	take_names(r, a);
	return r;
}

/* Some kernels and units (MemoryDenyWriteExecute) refuse pages that can be executed. */
bool
regex_has_jit(void)
{
	static enum { UNKNOWN, NO, YES } known;

	if (known)
		return known == YES;

	int error = 0;
	size_t at;
	pcre2_code *probe = pcre2_compile((PCRE2_SPTR)"a", 1, 0, &error, &at, NULL);

	if (!probe)
		abort();
	error = pcre2_jit_compile(probe, PCRE2_JIT_COMPLETE);
	pcre2_code_free(probe);
	known = error ? NO : YES;
	if (error)
		log_notice("regexes are interpreted: this machine does not allow machine code "
			   "made at run time");
	return known == YES;
}

struct regex_jit *
regex_bind(const struct regex *const *all, size_t n)
{
	size_t ids = 0;

	for (size_t i = 0; i < n; i++)
		if (all[i]->id >= ids)
			ids = (size_t)all[i]->id + 1;

	struct regex_jit *j = calloc(1, sizeof(*j) + ids * sizeof(*j->code));

	if (!j)
		abort();
	j->n = ids;
	for (size_t i = 0; i < n && regex_has_jit(); i++) {
		pcre2_code **code = &j->code[all[i]->id];

		pcre2_code_free(*code);
		*code = pcre2_code_copy(all[i]->code);
		if (*code && pcre2_jit_compile(*code, PCRE2_JIT_COMPLETE) != 0) {
			pcre2_code_free(*code);
			*code = NULL;
		}
	}
	return j;
}

void
regex_unbind(struct regex_jit *j)
{
	if (!j)
		return;
	for (size_t i = 0; i < j->n; i++)
		pcre2_code_free(j->code[i]);
	free(j);
}

static void
mine_setup(void)
{
	pcre2_jit_stack *stack = NULL;

	mine.data = pcre2_match_data_create(REGEX_GROUPS, NULL);
	mine.limits = pcre2_match_context_create(NULL);
	if (!mine.data || !mine.limits)
		abort();
	pcre2_set_match_limit(mine.limits, LIMIT_STEPS);
	pcre2_set_depth_limit(mine.limits, LIMIT_DEPTH);
	pcre2_set_heap_limit(mine.limits, LIMIT_HEAP_KB);
	if (regex_has_jit())
		stack = pcre2_jit_stack_create(JIT_STACK_FIRST, JIT_STACK_MAX, NULL);
	if (stack)
		pcre2_jit_stack_assign(mine.limits, NULL, stack);
}

bool
regex_match(const struct regex *r, const struct regex_jit *jit, struct str subject,
	    struct regex_match *m)
{
	const pcre2_code *code = r->code;

	if (!mine.data)
		mine_setup();
	if (jit && r->id < jit->n && jit->code[r->id])
		code = jit->code[r->id];

	PCRE2_SPTR text = (PCRE2_SPTR)(subject.at ? subject.at : "");
	int rc = pcre2_match(code, text, subject.len, 0, 0, mine.data, mine.limits);

	/* No match, or given up at the limits. */
	if (rc <= 0)
		return false;
	if (!m)
		return true;

	const size_t *ends = pcre2_get_ovector_pointer(mine.data);

	for (int i = 0; i < REGEX_GROUPS; i++) {
		m->group[i] = STR_NONE;
		if (i < rc && ends[2 * i] != PCRE2_UNSET &&
		    ends[2 * i] <= ends[2 * i + 1])
			m->group[i] = (struct str){ (const char *)text + ends[2 * i],
						    ends[2 * i + 1] - ends[2 * i] };
	}
	return true;
}
