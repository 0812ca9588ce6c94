/* SPDX-License-Identifier: MIT */
/*
 * An embedding server on the other end of a connection: the first byte is the form of the answers,
 * and whether they have a head of HTTP before them; the rest is what is sent for each request.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "embed/remote.h"
#include "tests/fuzz/fuzz.h"

#define TEXTS 5
#define DIM 3

static int listener;
static char url[64];
/* What requests are answered with; it is held while it is sent, though the client has left. */
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static const uint8_t *answer;
static size_t answer_size;

/* Read a request to its end, as the connection is closed afterwards. */
static void take_request(int fd)
{
	char text[16384];
	size_t n = 0;
	ssize_t got;
	while (n < sizeof text - 1 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0) {
		text[n += (size_t)got] = 0;
		const char *body = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
		if (body && length && text + n >= body + 4 + strtoul(length + 16, NULL, 10))
			return;
	}
}

static void *serve(void *ctx)
{
	int fd;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		take_request(fd);
		pthread_mutex_lock(&held);
		for (size_t at = 0; at < answer_size;) {
			ssize_t n = send(fd, answer + at, answer_size - at, MSG_NOSIGNAL);
			if (n <= 0)
				break;
			at += (size_t)n;
		}
		pthread_mutex_unlock(&held);
		close(fd);
	}
	return ctx;
}

static void start(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof at;
	pthread_t thread;
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(listener >= 0 && bind(listener, (struct sockaddr *)&at, size) == 0);
	MUST(listen(listener, 64) == 0 && getsockname(listener, (struct sockaddr *)&at, &size) == 0);
	snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(at.sin_port));
	MUST(pthread_create(&thread, NULL, serve, NULL) == 0 && pthread_detach(thread) == 0);
	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
}

static void set_answer(const uint8_t *data, size_t size)
{
	pthread_mutex_lock(&held);
	answer = data;
	answer_size = size;
	pthread_mutex_unlock(&held);
}

static int take_row(void *ctx, size_t i, const float *v, uint32_t dim, struct err *err)
{
	bool *there = ctx;
	(void)err;
	MUST(i < TEXTS && dim == DIM);
	for (uint32_t d = 0; d < dim; d++)
		MUST(v[d] - v[d] == 0);
	there[i] = true;
	return 0;
}

/* All vectors are there, or those before a text that is at fault, or there is an error. */
static void ask(enum answer_form form)
{
	static const size_t pick[TEXTS] = {0, 1, 2, 3, 4};
	struct embed_options o = EMBED_OPTIONS_INIT;
	struct remote_setup setup = {.form = form, .options = &o, .key = "key", .dim = DIM};
	struct span text[TEXTS];
	struct err err;
	bool there[TEXTS] = {0};
	size_t bad = SIZE_MAX;
	o.url = url;
	o.model = "m";
	o.batch = 3;
	o.parallel = 1;
	o.retries = 0;
	o.timeout_s = 5;
	for (size_t i = 0; i < TEXTS; i++)
		text[i] = span_of("text");
	struct remote *r = remote_new(&setup, &err);
	MUST(r);
	int ret = remote_run(r, text, pick, TEXTS, take_row, there, &bad, &err);
	MUST(ret == 0 || err.code == ERR_DATA || err.code == ERR_TEMP || err.code == ERR_ENV);
	MUST(bad == SIZE_MAX || (ret != 0 && err.code == ERR_DATA && bad < TEXTS));
	for (size_t i = 0; i < (ret == 0 ? TEXTS : bad == SIZE_MAX ? 0 : bad); i++)
		MUST(there[i]);
	remote_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
	if (size == 0)
		return 0;
	if (!url[0])
		start();
	size_t n = data[0] & 2 ? sizeof head - 1 : 0;
	uint8_t *copy = malloc(n + size);
	MUST(copy);
	memcpy(copy, head, n);
	memcpy(copy + n, data + 1, size - 1);
	set_answer(copy, n + size - 1);
	ask(data[0] & 1 ? ANSWER_OPENAI : ANSWER_OLLAMA);
	set_answer(NULL, 0);
	free(copy);
	return 0;
}
