/*
 * The image of a client or of a server connection, as another process tells it. First byte: 'S' for
 * a server's, anything else for a client's. What is left unread lies inside the input; what was
 * read, and is put as an image of its own, is read as the same again.
 */
#include "../unit/worker/image_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct image_world *world(void)
{
	static struct image_world *x; /* for the whole run: a loop is dear */

	if (x == NULL) {
		x = malloc(sizeof *x);
		PANIC_IF(x == NULL);
		image_world_init(x);
	}
	return x;
}

/* An image of what is in `data`; E_PROTO, E_LIMIT …: nothing is. */
static enum status client_again(struct image_world *x, struct rd *in, struct wr *out)
{
	struct client *c = image_client_new(x);
	struct image_head head;
	enum status st = image_read_head(in, &head);

	if (st == OK)
		st = image_read_client(&x->w, c, in);
	if (st == OK) {
		PANIC_IF(c->key_len > sizeof c->key || c->connected_us > x->w.now_us);
		PANIC_IF(x->acc.learned != NULL &&
			 x->acc.learned->salt.len > sizeof x->acc.learned->salt.bytes);
		image_put(c, out);
	}
	image_client_free(x, c);
	image_world_forget(x);
	return st;
}

static enum status server_again(struct image_world *x, struct rd *in, struct wr *out)
{
	struct server *s = server_new(&x->w, &x->pool);
	enum status st;

	PANIC_IF(s == NULL);
	st = image_read_server(&x->w, s, in);
	if (st == OK) {
		PANIC_IF(s->addr_len > sizeof s->addr || s->used_us > x->w.now_us);
		PANIC_IF(s->backend_key_len > sizeof s->backend_key);
		image_put_server(s, out);
	}
	server_free(&x->w, s);
	image_world_forget(x);
	return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t first[4 * IMAGE_LEN_MAX], second[4 * IMAGE_LEN_MAX];
	enum status (*again)(struct image_world * x, struct rd * in, struct wr * out);
	struct wr out = wr_of(first, sizeof first), out2 = wr_of(second, sizeof second);
	struct rd in;

	if (size == 0 || size > IMAGE_LEN_MAX)
		return 0;
	again = data[0] == 'S' ? server_again : client_again;
	in = rd_of(data + 1, size - 1);
	if (again(world(), &in, &out) != OK)
		return 0;
	PANIC_IF(in.p + in.left != data + size);
	PANIC_IF(out.bad);
	in = rd_of(first, out.len);
	PANIC_IF(again(world(), &in, &out2) != OK);
	PANIC_IF(in.left != 0);
	PANIC_IF(out2.len != out.len); /* names may come in another order */
	return 0;
}
