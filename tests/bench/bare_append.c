/* SPDX-License-Identifier: MIT */
/* What a durable append costs at least: copy stdin to a new file, fsync it, give it its
 * name, fsync the directory.  bare_append DIRECTORY NAME */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char data[65536], tmp[64];
	if (argc != 3)
		return 2;
	int dir = open(argv[1], O_RDONLY | O_DIRECTORY);
	snprintf(tmp, sizeof tmp, ".tmp-%ld", (long)getpid());
	int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL, 0666);
	ssize_t n = read(0, data, sizeof data);
	if (dir < 0 || fd < 0 || n <= 0 || write(fd, data, (size_t)n) != n || fsync(fd) != 0 ||
	    linkat(dir, tmp, dir, argv[2], 0) != 0 || unlinkat(dir, tmp, 0) != 0 || fsync(dir) != 0) {
		perror("bare_append");
		return 6;
	}
	return 0;
}
