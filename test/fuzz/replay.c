/*
 * replay - the main of a fuzz target without libFuzzer: gives every file named, and every file in
 * the folders named, to LLVMFuzzerTestOneInput, each in a block of its exact size so that a
 * sanitizer sees a read past it. Options (-…) are libFuzzer's and are ignored.
 * Exit: 0 all were run, and there was at least one; 1 otherwise. A broken property aborts.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_LEN_MAX (1u << 20) /* bytes; libFuzzer's own default limit for a corpus */
#define PATH_LEN_MAX  4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size != 0 ? size : 1);
	bool ok = f != NULL && data != NULL && fread(data, 1, size, f) == size;

	if (ok)
		LLVMFuzzerTestOneInput(data, size);
	else
		fprintf(stderr, "%s: cannot read it\n", path);
	if (f != NULL)
		fclose(f);
	free(data);
	return ok;
}

/* A file, or the files of a folder (not of folders therein). Adds to *n what was run. */
static bool replay(const char *path, bool is_nested, unsigned *n)
{
	struct stat st;
	struct dirent *e;
	bool ok = true;
	DIR *dir;

	if (stat(path, &st) != 0 || (S_ISREG(st.st_mode) && st.st_size > INPUT_LEN_MAX)) {
		fprintf(stderr, "%s: not there, or above %u bytes\n", path, INPUT_LEN_MAX);
		return false;
	}
	if (S_ISREG(st.st_mode)) {
		++*n;
		return replay_file(path, (size_t)st.st_size);
	}
	if (is_nested || (dir = opendir(path)) == NULL)
		return true;
	while ((e = readdir(dir)) != NULL) {
		char sub[PATH_LEN_MAX];

		if (e->d_name[0] == '.')
			continue;
		snprintf(sub, sizeof sub, "%s/%s", path, e->d_name);
		ok = replay(sub, true, n) && ok;
	}
	closedir(dir);
	return ok;
}

int main(int argc, char **argv)
{
	unsigned n = 0;
	bool ok = true;

	for (int i = 1; i < argc; i++)
		if (argv[i][0] != '-')
			ok = replay(argv[i], false, &n) && ok;
	printf("%s: %u inputs replayed\n", argv[0], n);
	return ok && n > 0 ? 0 : 1;
}
