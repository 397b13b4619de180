#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/master.h"
#include "master/rundir.h"

struct taken {
	struct worker_socket at[256];
	size_t n;
};

static void
take(void *arg, const struct bound *b, const struct socket *s)
{
	struct taken *t = arg;

	if (t->n < sizeof(t->at) / sizeof(t->at[0]))
		t->at[t->n++] = (struct worker_socket){ str_of(b->address), s->fd };
}

static int
listen_all(struct master *m, const struct conf_model *model)
{
	struct arena arena;
	struct diag d;
	const char *address;
	int rc;

	arena_init(&arena, NULL, 0, 16 << 20);
	diag_init(&d, &arena);
	rc = sockets_prepare(&m->sockets, model, 1, 2000, &d);
	if (rc < 0)
		diag_print(&d, stderr);
	arena_reset(&arena);
	if (rc == 0 && (rc = sockets_listen(&m->sockets, &address)) < 0)
		log_error("cannot listen on %s: %s", address, strerror(errno));
	if (rc < 0)
		sockets_abort(&m->sockets);
	else
		sockets_commit(&m->sockets);
	return rc;
}

static int
serve(struct master *m, const struct image *image)
{
	const struct conf_gateway *g = &image->model->gateway;
	struct taken t = { .n = 0 };
	char addresses[512];
	int row = slots_claim(m->shared.slots, SLOT_WORKER, 0, getpid());

	if (row < 0 || shared_reserve_row(&m->shared, row) < 0) {
		log_error("no row in the region: %s", strerror(errno));
		return 1;
	}
	sockets_each(&m->sockets, 0, 1, false, take, &t);
	sockets_list(&m->sockets, addresses, sizeof(addresses));
	if (pidfile_write(m->pid_file) < 0)
		log_warn("%s: %s", m->pid_file, strerror(errno));
	privs_files(g->max_files);
	privs_drop(&m->identity, g->core_dumps);
	printf("postern %s: serving revision 1 in a single process on %s\n", POSTERN_VERSION,
	       addresses);
	fflush(stdout);
	m->exit_status =
		worker_run(&(struct worker_start){ .row = row,
						   .channel = -1,
						   .cpu = -1,
						   .shared = m->shared,
						   .image = image,
						   .sockets = t.at,
						   .nsockets = t.n });
	slots_release(m->shared.slots, row);
	pidfile_remove(m->pid_file);
	sockets_close(&m->sockets, true);
	return m->exit_status;
}

int
setup_single(struct master *m)
{
	struct build_setup setup = { setup_in_builder, setup_restore, m };
	struct shared shared;
	const struct image *image = build_here(&m->window, m->file, &shared, &setup);

	if (!image || listen_all(m, image->model) < 0)
		return 1;
	log_setup("single", LOG_LEVEL_INFO);
	setup_warn(m, &image->model->gateway);
	return serve(m, image);
}
