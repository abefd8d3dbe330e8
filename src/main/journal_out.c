#include "main/journal_out.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/wr.h"

#define ENTRY_MAX (4u * LOG_LINE_MAX)

bool journal_out_is_at(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat sb;

	return stream != NULL && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(fd, &sb) == 0 && sb.st_dev == dev && sb.st_ino == ino;
}

int journal_out_open(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof to.sun_path)
		return -1;
	strcpy(to.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* The name of a field: capitals, digits and _ are allowed. */
static void put_name(struct wr *w, const char *key, size_t len)
{
	wr_str(w, "PGWEIR_");
	for (size_t i = 0; i < len; i++) {
		char ch = (char)toupper((unsigned char)key[i]);

		wr_u8(w, isalnum((unsigned char)ch) ? (uint8_t)ch : '_');
	}
	wr_str(w, "=");
}

/* A value up to its blank, or in quotes with \ escapes; returns what is behind it. */
static const char *put_value(struct wr *w, const char *v)
{
	bool is_quoted = *v == '"';

	for (v += is_quoted; *v != '\0' && *v != (is_quoted ? '"' : ' '); v++) {
		if (is_quoted && *v == '\\' && (v[1] == '"' || v[1] == '\\'))
			v++;
		wr_u8(w, (uint8_t)*v);
	}
	wr_str(w, "\n");
	v += is_quoted && *v == '"';
	return v + (*v == ' ');
}

static void put_pairs(struct wr *w, const char *kv)
{
	const char *eq;

	while ((eq = strchr(kv, '=')) != NULL) {
		put_name(w, kv, (size_t)(eq - kv));
		kv = put_value(w, eq + 1);
	}
}

bool journal_out_put(int fd, enum log_level lv, const char *text, const char *kv)
{
	/* syslog's numbers: err, warning, info, debug */
	static const char *const priorities[] = {"3", "4", "6", "7"};
	char entry[ENTRY_MAX];
	struct wr w = wr_of(entry, sizeof entry);

	wr_str(&w, "SYSLOG_IDENTIFIER=pgweir\nPRIORITY=");
	wr_str(&w, priorities[lv]);
	wr_str(&w, "\nMESSAGE=");
	wr_str(&w, text);
	wr_str(&w, *kv != '\0' ? " " : "");
	wr_str(&w, kv);
	wr_str(&w, "\nPGWEIR_EVENT=");
	wr_str(&w, text);
	wr_str(&w, "\n");
	put_pairs(&w, kv);
	return !w.bad && send(fd, entry, w.len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)w.len;
}
