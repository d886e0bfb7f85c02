/*
 * The hand as a program. It takes frames from its standard input and answers on its standard output, or, as the first program of
 * a lab, on the lab's channel. A frame: 32 bits of length, 8 bits of kind, then so many bytes. Requests are answered in order.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "frames.h"
#include "hand.h"
#include "lab.h"
#include "window.h"

static int in = STDIN_FILENO, out = STDOUT_FILENO, kernel_log = -1;

static void write_all(const void *bytes, size_t length)
{
	for (const char *at = bytes; length > 0;) {
		ssize_t count = window_is_open() ? (ssize_t)window_write(at, length) : write(out, at, length);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			exit(1);
		at += count;
		length -= count;
	}
}

static void send_frame(uint8_t kind, const void *payload, size_t length)
{
	uint8_t head[HEAD_BYTES] = { length, length >> 8, length >> 16, length >> 24, kind };

	write_all(head, sizeof(head));
	write_all(payload, length);
}

static void send_text(uint8_t kind, const char *text)
{
	send_frame(kind, text, strlen(text));
}

/* What the kernel printed meanwhile: where it may be read, it tells of failures that no reply tells of. */
static void send_kernel_log(void)
{
	static char line[8192];

	for (;;) {
		ssize_t length = read(kernel_log, line, sizeof(line));

		if (length < 0 && errno == EPIPE)
			continue;
		if (length <= 0)
			return;
		send_frame(FRAME_KERNEL_LOG, line, length);
	}
}

/* False at the end of the input. */
static bool read_all(void *bytes, size_t length)
{
	for (char *at = bytes; length > 0;) {
		struct pollfd polled[2] = { { in, POLLIN, 0 }, { kernel_log, POLLIN, 0 } };
		ssize_t count;

		if (kernel_log >= 0 && poll(polled, 2, -1) > 0 && (polled[1].revents & POLLIN))
			send_kernel_log();
		if (kernel_log >= 0 && !(polled[0].revents & (POLLIN | POLLHUP)))
			continue;
		count = window_is_open() ? (ssize_t)window_read(at, length) : read(in, at, length);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return false;
		at += count;
		length -= count;
	}
	return true;
}

static void run_script(const uint8_t *payload, size_t length)
{
	const uint8_t *record = NULL;
	size_t record_length = 0;
	int error = hand_open("/dev/kvm");
	const char *complaint;

	if (error) {
		char text[128];

		snprintf(text, sizeof(text), "/dev/kvm: %s", strerror(error));
		send_text(FRAME_NO_KVM, text);
		return;
	}
	complaint = hand_run(payload, length, &record, &record_length);
	if (kernel_log >= 0)
		send_kernel_log();
	if (complaint)
		send_text(FRAME_FAILED, complaint);
	else
		send_frame(FRAME_RECORD, record, record_length);
}

static void send_errno(int error)
{
	send_text(FRAME_FAILED, strerror(error));
}

/* Parameters and a 0, then the module. */
static void load_module(const char *payload, size_t length)
{
	size_t text = strnlen(payload, length);

	if (text == length)
		return send_text(FRAME_FAILED, "a module without parameters");
	if (syscall(SYS_init_module, payload + text + 1, length - text - 1, payload) < 0 && errno != EEXIST)
		return send_errno(errno);
	send_frame(FRAME_DONE, NULL, 0);
}

/* The path; then, where there is more, a 0 and where the piece begins and how long it is, as text. */
static void read_file(const char *path, size_t payload_length)
{
	size_t length = 0, room = 1 << 16, most = SIZE_MAX;
	unsigned long long offset = 0;
	char *content = malloc(room);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (strlen(path) < payload_length && sscanf(path + strlen(path) + 1, "%llu %zu", &offset, &most) == 2 && fd >= 0)
		lseek(fd, (off_t)offset, SEEK_SET);

	for (ssize_t count; fd >= 0 && content; length += count) {
		if (length == room)
			content = realloc(content, room *= 2);
		if (length >= most)
			break;
		count = room - length < most - length ? room - length : most - length;
		count = content ? read(fd, content + length, count) : -1;
		if (count <= 0)
			break;
	}
	if (fd < 0 || !content)
		send_errno(errno);
	else
		send_frame(FRAME_DONE, content, length);
	if (fd >= 0)
		close(fd);
	free(content);
}

/* The path and a 0, then what goes into the file. */
static void write_file(const char *payload, size_t length)
{
	size_t text = strnlen(payload, length);
	int fd = text == length ? -1 : open(payload, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t count;

	if (fd < 0)
		return send_errno(text == length ? EINVAL : errno);
	count = write(fd, payload + text + 1, length - text - 1);
	close(fd);
	if (count < 0 || (size_t)count != length - text - 1)
		return send_errno(count < 0 ? errno : EIO);
	send_frame(FRAME_DONE, NULL, 0);
}

/* Words with a 0 behind each. Answered with the status that a shell would see. */
static void run_program(char *payload, size_t length)
{
	static char buffer[1 << 16];
	char *words[256], *at = payload;
	int ends[2], count = 0, status = 0;
	uint8_t code;
	pid_t child;

	while (at < payload + length && count < 255) {
		words[count++] = at;
		at += strlen(at) + 1;
	}
	words[count] = NULL;
	if (count == 0 || pipe2(ends, O_CLOEXEC) < 0)
		return send_errno(count == 0 ? EINVAL : errno);
	child = fork();
	if (child == 0) {
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(ends[1], 1);
		dup2(ends[1], 2);
		execvp(words[0], words);
		dprintf(2, "%s: %s\n", words[0], strerror(errno));
		_exit(127);
	}
	close(ends[1]);
	for (ssize_t got; child > 0 && (got = read(ends[0], buffer, sizeof(buffer))) != 0;) {
		if (got < 0 && errno != EINTR)
			break;
		if (got > 0)
			send_frame(FRAME_OUTPUT, buffer, got);
	}
	close(ends[0]);
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return send_errno(errno);
	code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	send_frame(FRAME_DONE, &code, 1);
}

/* False at the end of the input. */
static bool answer_frame(void)
{
	uint8_t head[HEAD_BYTES];
	uint32_t length;
	char *payload;

	if (!read_all(head, sizeof(head)))
		return false;
	memcpy(&length, head, 4);
	if (length > PAYLOAD_MAX)
		return false;
	/* One byte more: texts end with a 0. */
	payload = malloc((size_t)length + 1);
	if (!payload || !read_all(payload, length))
		return false;
	payload[length] = 0;
	switch (head[4]) {
	case FRAME_SCRIPT:
		run_script((const uint8_t *)payload, length);
		break;
	case FRAME_MODULE:
		load_module(payload, length);
		break;
	case FRAME_READ_FILE:
		read_file(payload, length);
		break;
	case FRAME_WRITE_FILE:
		write_file(payload, length);
		break;
	case FRAME_EXEC:
		run_program(payload, length);
		break;
	default:
		send_text(FRAME_FAILED, "no such kind of frame");
	}
	free(payload);
	return true;
}

int main(int count, char **words)
{
	if (getpid() == 1)
		in = out = lab_start();
	else if (count > 1 && !strcmp(words[1], "--kernel-log"))
		kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kernel_log >= 0)
		lseek(kernel_log, 0, SEEK_END);
	send_text(FRAME_HELLO, HAND_VERSION);
	while (answer_frame())
		;
	if (getpid() == 1)
		lab_end("the channel was closed");
	return 0;
}
