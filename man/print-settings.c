/*
 * print-settings - the parts of the manual and of the example file that come from the table of
 * settings, for man/check-generated and `make update-generated`.
 */
#include <stdio.h>
#include <string.h>

#include "conf/document.h"

static void put(void *arg, const char *text)
{
	fputs(text, arg);
}

int main(int argc, char **argv)
{
	const struct document_out out = {.put = put, .arg = stdout};

	if (argc == 2 && strcmp(argv[1], "man") == 0) {
		document_man(&out);
	} else if (argc == 2 && strcmp(argv[1], "ini") == 0) {
		document_ini(&out);
	} else {
		fprintf(stderr, "usage: %s man|ini\n", argv[0]);
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
