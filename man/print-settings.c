/*
 * print-settings - the parts of the manual and of the example file that come from the table of
 * settings, and of the console's manual from its tables; for man/check-generated and `make
 * update-generated`.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/document.h"
#include "control/show.h"

static void put(void *arg, const char *text)
{
	fputs(text, arg);
}

static void print_console(void)
{
	const struct show_table *t;

	puts(".Bl -tag -width Ds");
	for (size_t i = 0; (t = show_nth(i)) != NULL; i++) {
		fputs(".It Ic ", stdout);
		for (const char *p = t->name; *p != '\0'; p++)
			putchar(toupper((unsigned char)*p));
		putchar('\n');
		for (uint16_t j = 0; j < t->n_columns; j++)
			printf(".Li %s%s\n", t->columns[j].name,
				j + 1 < t->n_columns ? " ," : "");
	}
	puts(".El");
}

int main(int argc, char **argv)
{
	const struct document_out out = {.put = put, .arg = stdout};

	if (argc == 2 && strcmp(argv[1], "man") == 0) {
		document_man(&out);
	} else if (argc == 2 && strcmp(argv[1], "ini") == 0) {
		document_ini(&out);
	} else if (argc == 2 && strcmp(argv[1], "console") == 0) {
		print_console();
	} else {
		fprintf(stderr, "usage: %s man|ini|console\n", argv[0]);
		return 2;
	}
	return fflush(stdout) == 0 ? 0 : 1;
}
