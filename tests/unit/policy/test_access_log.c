#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/policy/try.h"

#include "worker/policy/lib/logfile.h"

static char dir[64], path[96];
static void *bound;

static bool
log_open(void)
{
	const char *error = NULL;

	bound = policy->bind(&fake_worker, self, &error);
	x->bound = bound;
	return bound != NULL;
}

/* A log to a file in a directory of its own; `rest` are further members. */
static void
log_begin(const char *rest)
{
	char text[1024];

	strcpy(dir, "/tmp/postern-log-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/access.log", dir);
	snprintf(text, sizeof text, "type = \"access-log\"; path = \"%s\"; %s", path,
		 rest);
	try_begin(text);
	ck_assert(log_open());
}

static const char *
contents(void)
{
	static char buf[300000];
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(buf, 1, sizeof buf - 1, f) : 0;

	buf[n] = 0;
	if (f)
		fclose(f);
	return buf;
}

static const char *
lines(void)
{
	policy->tick(&fake_worker, bound, false);
	return contents();
}

static void
log_end(void)
{
	char more[128];

	policy->unbind(&fake_worker, bound);
	ck_assert(list_empty(&fake_worker.logfiles));
	snprintf(more, sizeof more, "%s/old.log", dir);
	unlink(more);
	unlink(path);
	rmdir(dir);
	try_end();
}

static void
done(void)
{
	policy->done(x, self, state);
}

static void
has(const char *line, const char *part)
{
	ck_assert_msg(strstr(line, part) != NULL, "no %s in %s", part, line);
}

START_TEST(json_has_the_full_set)
{
	struct conf_service cs = { .name = STR("orders-api") };
	struct service s = { .conf = &cs };
	struct conf_route cr = { .name = STR("order") };
	struct route r = { .conf = &cr };
	const char *line;

	log_begin("");
	x->status = 429;
	x->fault = FAULT_RATE_LIMITED;
	x->match.service = &s;
	x->match.route = &r;
	x->bytes_in = 5;
	x->bytes_out = 77;
	x->attempts = 2;
	x->consumer = STR("acme");
	x->routed = x->began + 2000;
	x->decided = x->began + 5000;
	x->attempt_at = x->began + 5000;
	x->connected = x->began + 105000;
	x->first_byte = x->began + 1005000;
	fake_header("User-Agent", "curl/7 \"x\"");
	fake_header("traceparent",
		    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
	done();
	line = lines();
	ck_assert_int_eq(strncmp(line, "{\"@timestamp\":\"20", 17), 0);
	has(line,
	    "\",\"event.duration\":1500000,\"http.request.method\":\"GET\",\"url."
	    "domain\":\"api.example.com\","
	    "\"url.path\":\"/v1/orders/"
	    "7\",\"url.query\":\"a=1\",\"http.version\":\"1.1\","
	    "\"http.response.status_code\":429,\"http.request.body.bytes\":5,\"http."
	    "response.body.bytes\":77,"
	    "\"client.address\":\"192.0.2.7\",\"user_agent.original\":\"curl/7 "
	    "\\\"x\\\"\","
	    "\"trace.id\":\"0af7651916cd43dd8448eb211c80319c\","
	    "\"http.request.id\":\"0123456789abcdef0123456789abcdef\",\"postern."
	    "listener\":\"web\","
	    "\"postern.service\":\"orders-api\",\"postern.route\":\"order\",\"postern."
	    "consumer\":\"acme\","
	    "\"postern.reason\":\"rate_limited\",\"postern.revision\":3,\"postern."
	    "retries\":1,"
	    "\"postern.phase.match_us\":2,\"postern.phase.policy_us\":3,\"postern.phase."
	    "connect_us\":100,"
	    "\"postern.phase.first_byte_us\":1000,\"postern.phase.body_us\":495}\n");
	ck_assert_uint_eq(fake_page.count[METRIC_LOG_LINES], 1);
	log_end();
}
END_TEST

START_TEST(a_request_that_was_no_request_is_logged)
{
	log_begin("format = \"combined\";");
	memset(&x->request, 0, sizeof x->request);
	x->path = x->host = STR_NONE;
	x->status = 400;
	x->fault = FAULT_BAD_REQUEST;
	done();
	has(lines(), " +0000] \"-\" 400 0 \"-\" \"-\"\n");
	log_end();
}
END_TEST

START_TEST(combined_is_what_others_write)
{
	char wanted[300];

	log_begin("format = \"combined\"; redact = [ \"code\" ];");
	x->status = 200;
	x->bytes_out = 12;
	x->consumer = STR("acme");
	x->request.query = STR("a=1&c%6fde=42&token=t&x");
	fake_header("Referer", "https://a.example/p?password=p&b=2");
	fake_header("User-Agent", "x\" \"forged\r\n1.2.3.4 - -");
	done();
	snprintf(wanted, sizeof wanted,
		 "192.0.2.7 - acme [%.2s/%.3s/%.4s:%.8s +0000] \"GET "
		 "/v1/orders/7?a=1&c%%6fde=***&token=***&x HTTP/1.1\" 200 12 "
		 "\"https://a.example/p?password=***&b=2\" \"x\\x22 "
		 "\\x22forged\\x0d\\x0a1.2.3.4 - -\"\n",
		 clock_date() + 5, clock_date() + 8, clock_date() + 12,
		 clock_date() + 17);
	ck_assert_str_eq(lines(), wanted);
	log_end();
}
END_TEST

START_TEST(fields_choose_the_members)
{
	log_begin("fields: { method = \"{method}\"; status = \"{status}\"; to = "
		  "\"{host}:{path}\"; "
		  "auth = \"{header.authorization}\"; q = \"{query.code}\"; key = "
		  "\"{header.x-key}\"; "
		  "all = \"{query}\"; }; redact = [ \"X-KEY\", \"code\" ];");
	x->status = 201;
	x->request.query = STR("code=7&b=\"");
	fake_header("Authorization", "Basic abc");
	fake_header("x-key", "k");
	done();
	ck_assert_str_eq(lines(), "{\"method\":\"GET\",\"status\":201,\"to\":\"api."
				  "example.com:/v1/orders/7\","
				  "\"auth\":\"***\",\"q\":\"***\",\"key\":\"***\","
				  "\"all\":\"code=***&b=\\\"\"}\n");
	log_end();
}
END_TEST

START_TEST(a_template_is_a_line)
{
	log_begin("format = \"[{method}] {header.x} {reason}\";");
	fake_header("x", "a\nb");
	done();
	done();
	ck_assert_str_eq(lines(), "[GET] a\\x0ab \n[GET] a\\x0ab \n");
	log_end();
}
END_TEST

START_TEST(long_values_are_cut_not_the_line)
{
	static char agent[30000];
	const char *line;

	memset(agent, '"', sizeof agent - 1);
	log_begin("");
	fake_header("User-Agent", agent);
	done();
	line = lines();
	ck_assert_uint_lt(strlen(line), LOGFILE_LINE);
	has(line, "\\\"\\\"\",\"http.request.id\"");
	ck_assert_str_eq(line + strlen(line) - 2, "}\n");
	log_end();
}
END_TEST

START_TEST(lines_leave_when_the_buffer_is_full)
{
	size_t n = 0;

	log_begin("format = \"{method} {path}\";");
	for (int i = 0; i < 10000; i++)
		done();
	ck_assert_uint_gt(strlen(contents()), 100000);
	for (const char *p = lines(); (p = strchr(p, '\n')); p++)
		n++;
	ck_assert_uint_eq(n, 10000);
	ck_assert_uint_eq(fake_page.count[METRIC_LOG_LINES], 10000);
	ck_assert_uint_eq(fake_page.count[METRIC_LOG_DROPPED], 0);
	log_end();
}
END_TEST

START_TEST(a_rotated_file_is_opened_anew)
{
	char old[128];

	log_begin("format = \"{method}\";");
	done();
	snprintf(old, sizeof old, "%s/old.log", dir);
	ck_assert_int_eq(rename(path, old), 0);
	done();
	policy->tick(&fake_worker, bound, true);
	done();
	ck_assert_str_eq(lines(), "GET\n");
	strcpy(path, old);
	ck_assert_str_eq(contents(), "GET\nGET\n");
	snprintf(path, sizeof path, "%s/access.log", dir);
	log_end();
}
END_TEST

START_TEST(two_who_name_one_place_share_it)
{
	struct stat st;
	const char *error = NULL;
	void *other;

	log_begin("format = \"{method}\";");
	other = policy->bind(&fake_worker, self, &error);
	ck_assert_ptr_eq(*(void **)other, *(void **)bound);     /* the file */
	policy->unbind(&fake_worker, other);
	done();
	ck_assert_str_eq(lines(), "GET\n");
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0137, 0);
	log_end();
}
END_TEST

START_TEST(what_can_not_be_written_is_counted)
{
	try_begin("type = \"access-log\"; path = \"/dev/full\"; format = \"{method}\";");
	ck_assert(log_open());
	for (int i = 0; i < 5; i++)
		done();
	policy->tick(&fake_worker, bound, false);
	ck_assert_uint_eq(fake_page.count[METRIC_LOG_DROPPED], 5);
	ck_assert_uint_eq(fake_page.count[METRIC_LOG_LINES], 0);
	done();
	policy->unbind(&fake_worker, bound);
	ck_assert_uint_eq(fake_page.count[METRIC_LOG_DROPPED], 6);
	try_end();
}
END_TEST

START_TEST(a_pipe_that_is_full_delays_and_then_loses_lines)
{
	char fifo[] = "/tmp/postern-fifo-XXXXXX", text[200], buf[4096];
	size_t got = 0, total = 20000;
	uint64_t lost;
	ssize_t n;
	int fd;

	close(mkstemp(fifo));
	unlink(fifo);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	fd = open(fifo, O_RDONLY | O_NONBLOCK);
	snprintf(text, sizeof text,
		 "type = \"access-log\"; path = \"%s\"; format = \"{path}123\";", fifo);
	try_begin(text);
	ck_assert(log_open());
	for (size_t i = 0; i < total; i++)
		done();
	lost = fake_page.count[METRIC_LOG_DROPPED];
	ck_assert_uint_gt(lost, 0);
	/* What was kept comes out whole, and in order. */
	for (int empty = 0; empty < 3;) {
		n = read(fd, buf, sizeof buf);
		if (n <= 0) {
			empty++;
			policy->tick(&fake_worker, bound, false);
			continue;
		}
		for (ssize_t i = 0; i < n; i++, got++)
			ck_assert_int_eq(buf[i], "/v1/orders/7123\n"[got % 16]);
	}
	ck_assert_uint_eq(got / 16 + lost, total);
	ck_assert_uint_eq(got % 16, 0);
	ck_assert_uint_gt(got, 65536 + 40000);  /* a pipe and a buffer full */
	policy->unbind(&fake_worker, bound);
	close(fd);
	unlink(fifo);
	try_end();
}
END_TEST

START_TEST(syslog_gets_a_datagram_a_line)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char text[200], buf[500];
	ssize_t n;
	int fd;

	strcpy(dir, "/tmp/postern-log-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(sun.sun_path, sizeof sun.sun_path, "%s/log", dir);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	snprintf(text, sizeof text,
		 "type = \"access-log\"; path = \"syslog:%s/log\"; format = "
		 "\"{method}!\";",
		 dir);
	try_begin(text);
	ck_assert(log_open());
	done();
	done();
	policy->tick(&fake_worker, bound, false);
	for (int i = 0; i < 2; i++) {
		n = recv(fd, buf, sizeof buf - 1, 0);
		ck_assert_int_gt(n, 0);
		buf[n] = 0;
		ck_assert_int_eq(strncmp(buf, "<30>", 4), 0);
		has(buf, " postern[");
		ck_assert_str_eq(buf + n - 6, ": GET!");
	}
	ck_assert_int_eq(recv(fd, buf, sizeof buf, 0), -1);
	/* The other side goes away: lines are lost, then it comes back. */
	close(fd);
	unlink(sun.sun_path);
	done();
	policy->tick(&fake_worker, bound, false);
	ck_assert_uint_eq(fake_page.count[METRIC_LOG_DROPPED], 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun, sizeof sun), 0);
	done();
	policy->tick(&fake_worker, bound, false);
	ck_assert_int_gt(recv(fd, buf, sizeof buf, 0), 0);
	policy->unbind(&fake_worker, bound);
	close(fd);
	unlink(sun.sun_path);
	rmdir(dir);
	try_end();
}
END_TEST

START_TEST(what_can_not_be_opened_says_why)
{
	const char *error = NULL;

	try_begin("type = \"access-log\"; path = \"/nonexistent/dir/a.log\";");
	ck_assert_ptr_null(policy->bind(&fake_worker, self, &error));
	ck_assert_str_eq(error, strerror(ENOENT));
	ck_assert(list_empty(&fake_worker.logfiles));
	try_end();
}
END_TEST

START_TEST(odd_logs_are_errors)
{
	try_refused("type = \"access-log\"; path = \"journal\";", 404,
		    "not in this version of postern");
	try_refused("type = \"access-log\"; path = \"\";", 439, "needs a path");
	try_refused("type = \"access-log\"; path = \"syslog:x\";", 439, "absolute path");
	try_refused("type = \"access-log\"; path = \"stdout\"; format = \"common\";", 440,
		    "is no format");
	try_refused("type = \"access-log\"; path = \"stdout\"; format = \"a\\n{path}\";",
		    440, "control");
	try_refused("type = \"access-log\"; path = \"stdout\"; format = \"combined\"; "
		    "fields: { a = \"b\"; };",
		    440, "members of a JSON line");
}
END_TEST

int
main(void)
{
	const TTest *const tests[] = {
		json_has_the_full_set,
		a_request_that_was_no_request_is_logged,
		combined_is_what_others_write,
		fields_choose_the_members,
		a_template_is_a_line,
		long_values_are_cut_not_the_line,
		lines_leave_when_the_buffer_is_full,
		a_rotated_file_is_opened_anew,
		two_who_name_one_place_share_it,
		what_can_not_be_written_is_counted,
		a_pipe_that_is_full_delays_and_then_loses_lines,
		syslog_gets_a_datagram_a_line,
		what_can_not_be_opened_says_why,
		odd_logs_are_errors,
	};

	return unit_run("policy/access_log", tests, sizeof tests / sizeof *tests);
}
