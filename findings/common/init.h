/* What a program that runs as init has to do before it can speak, and to end. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

static void open_console(void)
{
	mount("dev", "/dev", "devtmpfs", 0, 0);
	dup2(open("/dev/console", O_RDWR), 1);
	setvbuf(stdout, 0, _IONBF, 0);
	printf("\n");
}

static void power_off(void)
{
	sync();
	reboot(RB_POWER_OFF);
}
