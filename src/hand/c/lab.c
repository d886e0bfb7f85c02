/*
 * What the first program of a lab has to do before there is a channel. What fails is said in one marked line on the console, which
 * the other side turns into its error.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "frames.h"
#include "lab.h"
#include "window.h"

#define ZEROED_BYTES (48u << 20)
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* The emulator ends instead of booting again. */
static _Noreturn void switch_off(void)
{
	sync();
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

_Noreturn void lab_end(const char *why)
{
	dprintf(STDERR_FILENO, "%s%s\n", NOTE_MARK, why);
	switch_off();
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		errno = 0; /* A kernel without that knob goes on without it. */
	close(fd);
}

static char *read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, room - 1);

	if (fd >= 0)
		close(fd);
	text[length < 0 ? 0 : length] = 0;
	return text;
}

/* A module that cannot be loaded is often built in; what is wrong with the channel's shows soon enough. */
static void load_modules(void)
{
	char *line = NULL;
	size_t room = 0;
	FILE *list = fopen(LAB_MODULES "/order", "re");

	while (list && getline(&line, &room, list) > 0) {
		char path[512];
		int fd;

		line[strcspn(line, "\n")] = 0;
		snprintf(path, sizeof(path), LAB_MODULES "/%s", line);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			syscall(SYS_finit_module, fd, "", 0);
			close(fd);
		}
	}
	if (list)
		fclose(list);
	free(line);
}

/* The port's number depends on the kernel, its name does not. */
static int open_channel(void)
{
	DIR *ports = opendir("/sys/class/virtio-ports");
	struct dirent *port;

	while (ports && (port = readdir(ports))) {
		char path[512], name[64];

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", port->d_name);
		if (strcmp(read_text(path, name, sizeof(name)), CHANNEL_NAME "\n"))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", port->d_name);
		closedir(ports);
		return open(path, O_RDWR | O_CLOEXEC);
	}
	return -1;
}

/*
 * Has the kernel zero what the boot left in free memory, which a saved state of this computer would have to keep. Pages that were
 * freed last are given out first, so a part of the memory does, one page at a time.
 */
static void zero_free_memory(void)
{
	void *at = mmap(NULL, ZEROED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return;
	madvise(at, ZEROED_BYTES, MADV_NOHUGEPAGE);
	madvise(at, ZEROED_BYTES, MADV_POPULATE_WRITE);
	munmap(at, ZEROED_BYTES);
}

/* The console as the shell's own terminal, so that Ctrl-C works there. */
static _Noreturn void run_shell(void)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		setsid();
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		if (open("/dev/ttyS0", O_RDWR) == 0 && dup(0) == 1 && dup(0) == 2)
			execl("/bin/busybox", "sh", (char *)NULL);
		_exit(127);
	}
	waitpid(child, &status, 0);
	switch_off();
}

int lab_start(void)
{
	struct rlimit files = { 65536, 65536 };
	char command_line[4096];
	int channel;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("tmpfs", "/tmp", "tmpfs", 0, NULL);
	load_modules();
	write_text("/proc/sys/kernel/hung_task_timeout_secs", "8");
	write_text("/proc/sys/kernel/printk", "8");
	setrlimit(RLIMIT_NOFILE, &files);
	setenv("PATH", "/bin", 1);
	setenv("HOME", "/", 1);
	if (strstr(read_text("/proc/cmdline", command_line, sizeof(command_line)), "hvipi.shell"))
		run_shell();
	zero_free_memory();
	if (strstr(command_line, WINDOW_PARAMETER)) {
		if (!window_open())
			lab_end("the window in the lab's memory cannot be mapped: the kernel needs CONFIG_DEVMEM");
		return -1;
	}
	channel = open_channel();
	if (channel < 0)
		lab_end("no virtio-serial port in the lab: the kernel needs CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_CONSOLE");
	return channel;
}
