#include "net/hosts.h"

#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BLANKS " \t\r"

enum status hosts_init(struct hosts *h, const char *path)
{
	*h = (struct hosts){0};
	h->path = strdup(path);
	return h->path != NULL ? OK : E_NOMEM;
}

void hosts_fini(struct hosts *h)
{
	free(h->text);
	free(h->path);
	*h = (struct hosts){0};
}

/* The whole of a file of `len` bytes; NULL if it cannot be read. */
static char *read_text(const char *path, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd >= 0 ? malloc(len + 1) : NULL;
	size_t have = 0;
	ssize_t n = 1;

	while (text != NULL && have < len && n > 0) {
		n = read(fd, text + have, len - have);
		if (n > 0)
			have += (size_t)n;
	}
	if (text != NULL)
		text[have] = '\0';
	if (fd >= 0)
		close(fd);
	return text;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void refresh(struct hosts *h)
{
	struct stat sb;

	if (stat(h->path, &sb) != 0)
		sb = (struct stat){0};
	if (is_same_file(&sb, &h->seen))
		return;
	free(h->text);
	h->text = NULL;
	h->seen = sb;
	if (sb.st_size > 0 && (uint64_t)sb.st_size <= HOSTS_LEN_MAX)
		h->text = read_text(h->path, (size_t)sb.st_size);
}

/* Does the rest of a line, after its address, list the name? */
static bool lists_name(const char *p, size_t len, const char *name)
{
	size_t name_len = strlen(name);

	while (len != 0) {
		size_t skip = strspn(p, BLANKS), n;

		if (skip >= len)
			return false;
		p += skip;
		len -= skip;
		n = strcspn(p, BLANKS "\n#");
		n = n < len ? n : len;
		if (n == 0)
			return false;
		if (n == name_len && strncasecmp(p, name, n) == 0)
			return true;
		p += n;
		len -= n;
	}
	return false;
}

/* One line: its address to `out`, if it is of that family and lists the name. */
static bool match_line(
	const char *line, size_t len, const char *name, sa_family_t family, struct net_addr *out)
{
	char addr[INET6_ADDRSTRLEN + IF_NAMESIZE];
	size_t skip = strspn(line, BLANKS), n;

	if (skip >= len)
		return false;
	line += skip;
	len -= skip;
	n = strcspn(line, BLANKS "\n#");
	if (n >= len || n >= sizeof addr || line[0] == '/' || line[0] == '@')
		return false;
	memcpy(addr, line, n);
	addr[n] = '\0';
	return lists_name(line + n, len - n, name) && net_addr_parse(addr, 0, out) == OK &&
	       out->u.sa.sa_family == family;
}

static size_t find_family(const struct hosts *h, const char *name, sa_family_t family,
	struct net_addr *out, size_t cap)
{
	const char *line = h->text;
	size_t n = 0;

	while (line != NULL && *line != '\0' && n < cap) {
		size_t len = strcspn(line, "\n");
		size_t content = strcspn(line, "#\n");

		if (match_line(line, content, name, family, &out[n]))
			n++;
		line += len;
		line += *line == '\n';
	}
	return n;
}

static bool is_localhost(const char *name)
{
	static const char local[] = "localhost";
	size_t len = strlen(name), tail = sizeof local - 1;

	return len >= tail && strcasecmp(name + len - tail, local) == 0 &&
	       (len == tail || name[len - tail - 1] == '.');
}

size_t hosts_find(struct hosts *h, const char *name, struct net_addr *out, size_t cap)
{
	size_t n;

	refresh(h);
	n = find_family(h, name, AF_INET, out, cap);
	n += find_family(h, name, AF_INET6, out + n, cap - n);
	if (n != 0 || !is_localhost(name))
		return n;
	if (n < cap && net_addr_parse("127.0.0.1", 0, &out[n]) == OK)
		n++;
	if (n < cap && net_addr_parse("::1", 0, &out[n]) == OK)
		n++;
	return n;
}
