#include "base/list.h"

#include "../unit.h"

struct item {
	int id;
	struct list link;
};

static struct item items[8];
static struct list head, spare;

static void setup(void)
{
	list_init(&head);
	list_init(&spare);
	for (int i = 0; i < 8; i++) {
		items[i].id = i;
		list_init(&items[i].link);
	}
}

/* The ids in `l`, as a number: 1, 2, 3 → 123; 0 if empty. Checks the links back as well. */
static int ids(struct list *l)
{
	struct list *it;
	int n = 0;

	list_foreach (it, l) {
		ck_assert_ptr_eq(it->next->prev, it);
		ck_assert_ptr_eq(it->prev->next, it);
		n = n * 10 + list_entry(it, struct item, link)->id;
	}
	return n;
}

START_TEST(items_stand_in_the_order_of_the_pushes)
{
	ck_assert(list_is_empty(&head));
	ck_assert_int_eq(ids(&head), 0);
	list_push_back(&head, &items[2].link);
	list_push_back(&head, &items[3].link);
	list_push_front(&head, &items[1].link);
	list_insert_before(&items[3].link, &items[7].link);
	ck_assert_int_eq(ids(&head), 1273);
	ck_assert(!list_is_empty(&head));
}
END_TEST

START_TEST(deleted_item_is_alone_and_may_be_deleted_again)
{
	for (int i = 1; i < 4; i++)
		list_push_back(&head, &items[i].link);
	list_del(&items[2].link);
	list_del(&items[2].link);
	ck_assert(list_is_empty(&items[2].link));
	ck_assert_int_eq(ids(&head), 13);
	list_del(&items[1].link);
	list_del(&items[3].link);
	ck_assert(list_is_empty(&head));
}
END_TEST

START_TEST(pop_takes_the_first_until_none_is_left)
{
	list_push_back(&head, &items[1].link);
	list_push_back(&head, &items[2].link);
	ck_assert_ptr_eq(list_pop_front(&head), &items[1].link);
	ck_assert(list_is_empty(&items[1].link));
	ck_assert_ptr_eq(list_pop_front(&head), &items[2].link);
	ck_assert_ptr_null(list_pop_front(&head));
}
END_TEST

START_TEST(splice_appends_in_order_and_empties_the_source)
{
	list_splice_back(&head, &spare); /* nothing to nothing */
	ck_assert(list_is_empty(&head));
	list_push_back(&spare, &items[1].link);
	list_push_back(&spare, &items[2].link);
	list_splice_back(&head, &spare); /* into an empty one */
	ck_assert_int_eq(ids(&head), 12);
	ck_assert(list_is_empty(&spare));
	list_push_back(&spare, &items[3].link);
	list_splice_back(&head, &spare);
	ck_assert_int_eq(ids(&head), 123);
	list_splice_back(&head, &spare); /* of an empty one */
	ck_assert_int_eq(ids(&head), 123);
}
END_TEST

START_TEST(items_may_be_unlinked_or_moved_in_a_safe_loop)
{
	struct list *it, *tmp;

	for (int i = 1; i < 6; i++)
		list_push_back(&head, &items[i].link);
	list_foreach_safe (it, tmp, &head) {
		if (list_entry(it, struct item, link)->id % 2 != 0)
			continue;
		list_del(it);
		list_push_front(&spare, it);
	}
	ck_assert_int_eq(ids(&head), 135);
	ck_assert_int_eq(ids(&spare), 42);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("list");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, items_stand_in_the_order_of_the_pushes);
	tcase_add_test(tc, deleted_item_is_alone_and_may_be_deleted_again);
	tcase_add_test(tc, pop_takes_the_first_until_none_is_left);
	tcase_add_test(tc, splice_appends_in_order_and_empties_the_source);
	tcase_add_test(tc, items_may_be_unlinked_or_moved_in_a_safe_loop);
	return unit_run("list", tc);
}
