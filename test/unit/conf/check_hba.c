#include "conf/hba.h"

#include "fixture.h"

static struct hba *hba;

static void setup(void)
{
	fixture_init();
	hba = NULL;
}

static void teardown(void)
{
	hba_free(hba);
	fixture_fini();
}

static enum status try_parse(const char *text, const struct hba_own *own)
{
	static const struct conf_reader reader = {.read = fixture_read};
	const struct hba_source src = {.file = "dir/hba",
		.text = text,
		.len = strlen(text),
		.reader = &reader,
		.own = own};

	hba_free(hba);
	findings_fini(&fixture_found);
	findings_init(&fixture_found);
	return hba_parse(&src, &hba, &fixture_found);
}

static void parse(const char *text)
{
	char line[FINDING_LINE_MAX] = "";
	enum status st = try_parse(text, NULL);

	if (fixture_found.n != 0)
		finding_format(&fixture_found.items[0], line, sizeof line);
	ck_assert_msg(st == OK, "%s: %s", text, line);
}

static const struct conf_list *member_of; /* the client's user */

/* The line of the rule that fits; 0: none. */
static uint32_t line_for(const char *database, const char *user, const char *addr, bool tls)
{
	struct hba_client c = {
		.database = database, .user = user, .roles = member_of, .is_tls = tls};
	const struct hba_rule *r;

	c.is_local = addr == NULL;
	c.is_replication = *database == '\0';
	if (addr != NULL)
		ck_assert_int_eq(cidr_addr_parse(addr, &c.addr), OK);
	r = hba_find(hba, &c);
	return r != NULL ? r->line : 0;
}

START_TEST(the_first_rule_that_fits_decides)
{
	parse("# comment\n"
	      "host  app  ann  10.0.0.0/8  reject\n"
	      "host  app  all  10.0.0.0 255.0.0.0  md5\n"
	      "local all  all  peer\n"
	      "host  all  all  all  scram-sha-256\n");
	ck_assert_uint_eq(line_for("app", "ann", "10.1.1.1", false), 2);
	ck_assert_uint_eq(line_for("app", "bob", "10.1.1.1", false), 3);
	ck_assert_uint_eq(line_for("app", "ann", "11.1.1.1", false), 5);
	ck_assert_uint_eq(line_for("app", "ann", "::1", true), 5);
	ck_assert_uint_eq(line_for("app", "ann", NULL, false), 4);
	ck_assert_int_eq(hba_rules(hba)->method, AUTH_TYPE_REJECT);
}
END_TEST

START_TEST(types_of_connections)
{
	parse("hostgssenc all all all trust\n"
	      "hostssl all ssl all trust\n"
	      "hostnossl all plain all trust\n"
	      "hostnogssenc all nogss all trust\n");
	ck_assert_uint_eq(line_for("d", "ssl", "1.1.1.1", true), 2);
	ck_assert_uint_eq(line_for("d", "ssl", "1.1.1.1", false), 0);
	ck_assert_uint_eq(line_for("d", "plain", "1.1.1.1", false), 3);
	ck_assert_uint_eq(line_for("d", "plain", "1.1.1.1", true), 0);
	ck_assert_uint_eq(line_for("d", "nogss", "1.1.1.1", true), 4);
	ck_assert_uint_eq(line_for("d", "ssl", NULL, false), 0);
}
END_TEST

START_TEST(members_of_roles)
{
	static const char *const names[] = {"staff", "sales"};
	const struct conf_list roles = {2, names};

	parse("local app +staff trust\n"
	      "local samerole all trust\n"
	      "local app \"+staff\" trust\n");
	ck_assert_uint_eq(line_for("app", "ann", NULL, false), 0);
	ck_assert_uint_eq(line_for("app", "staff", NULL, false), 1);
	ck_assert_uint_eq(line_for("app", "+staff", NULL, false), 3);
	ck_assert_uint_eq(line_for("ann", "ann", NULL, false), 2);
	member_of = &roles;
	ck_assert_uint_eq(line_for("app", "ann", NULL, false), 1);
	ck_assert_uint_eq(line_for("sales", "ann", NULL, false), 2);
	ck_assert_uint_eq(line_for("other", "ann", NULL, false), 0);
	ck_assert_uint_eq(line_for("Sales", "ann", NULL, false), 0);
	member_of = NULL;
}
END_TEST

START_TEST(databases_and_users)
{
	parse("local \"all\",a,b all trust\n"
	      "local sameuser all trust\n"
	      "local /^r[0-9]+$ all trust\n"
	      "local \"/^a,b$\" all trust\n"
	      "local replication rep trust\n"
	      "local x \"+quoted\",/^u_ trust\n");
	ck_assert_uint_eq(line_for("all", "u", NULL, false), 1);
	ck_assert_uint_eq(line_for("b", "u", NULL, false), 1);
	ck_assert_uint_eq(line_for("c", "u", NULL, false), 0);
	ck_assert_uint_eq(line_for("u", "u", NULL, false), 2);
	ck_assert_uint_eq(line_for("r12", "u", NULL, false), 3);
	ck_assert_uint_eq(line_for("a,b", "u", NULL, false), 4);
	ck_assert_uint_eq(line_for("replication", "rep", NULL, false), 0);
	ck_assert_uint_eq(line_for("", "rep", NULL, false), 5);
	ck_assert_uint_eq(line_for("x", "+quoted", NULL, false), 6);
	ck_assert_uint_eq(line_for("x", "u_1", NULL, false), 6);
	parse("local all all trust\n");
	ck_assert_uint_eq(line_for("", "rep", NULL, false), 0);
}
END_TEST

START_TEST(lists_come_from_files_beside_the_rules)
{
	fixture_files[0] = (struct fixture_file){"dir/dbs", "a b\n# c\n\"d e\", f @more\n"};
	fixture_files[1] = (struct fixture_file){"dir/more", "g"};
	fixture_files[2] = (struct fixture_file){"/abs", "ann"};
	parse("local @dbs,z @/abs trust\n");
	ck_assert_uint_eq(line_for("a", "ann", NULL, false), 1);
	ck_assert_uint_eq(line_for("d e", "ann", NULL, false), 1);
	ck_assert_uint_eq(line_for("g", "ann", NULL, false), 1);
	ck_assert_uint_eq(line_for("z", "ann", NULL, false), 1);
	ck_assert_uint_eq(line_for("c", "ann", NULL, false), 0);
	ck_assert_uint_eq(line_for("a", "bob", NULL, false), 0);
	fixture_files[1].text = "@dbs";
	ck_assert_int_eq(try_parse("local @dbs all trust\n", NULL), E_INVALID);
	ck_assert(fixture_has(FINDING_ERROR, "dir/hba:1: database = dir/"));
	ck_assert(fixture_has(FINDING_ERROR, "does it name itself"));
}
END_TEST

START_TEST(own_addresses_and_networks)
{
	struct cidr net;
	const struct hba_own own = {.n = 1, .nets = &net};

	ck_assert_int_eq(cidr_parse("192.168.7.3/24", &net), OK);
	ck_assert_int_eq(
		try_parse("host a all samehost trust\nhost b all samenet trust", &own), OK);
	ck_assert_uint_eq(line_for("a", "u", "192.168.7.3", false), 1);
	ck_assert_uint_eq(line_for("a", "u", "192.168.7.4", false), 0);
	ck_assert_uint_eq(line_for("b", "u", "192.168.7.4", false), 2);
	ck_assert_uint_eq(line_for("b", "u", "192.168.8.4", false), 0);
	parse("host all all samenet trust\n");
	ck_assert_uint_eq(line_for("b", "u", "127.0.0.1", false), 0);
}
END_TEST

START_TEST(methods_and_options)
{
	const struct hba_rule *r;

	parse("hostssl all all all cert map=m clientname=DN\n"
	      "hostssl all all all md5 map=\"my map\" clientcert=verify-full\n"
	      "hostssl all all all password clientcert=verify-ca\n"
	      "local all all ident map=x\n"
	      "host all all all ldap ldapserver=h ldapbasedn=\"a=b, \"\"c\"\"\"\n"
	      "host all all all pam pamservice=weir\n");
	r = hba_rules(hba);
	ck_assert_int_eq(r->method, AUTH_TYPE_CERT);
	ck_assert_int_eq(r->clientcert, HBA_CLIENTCERT_VERIFY_FULL);
	ck_assert(r->clientname_is_dn);
	ck_assert_str_eq(r->map, "m");
	r = r->next;
	ck_assert_int_eq(r->clientcert, HBA_CLIENTCERT_VERIFY_FULL);
	ck_assert_str_eq(r->map, "my map");
	r = r->next;
	ck_assert_int_eq(r->method, AUTH_TYPE_PLAIN);
	ck_assert_int_eq(r->clientcert, HBA_CLIENTCERT_VERIFY_CA);
	r = r->next;
	ck_assert_int_eq(r->method, AUTH_TYPE_PEER);
	ck_assert_str_eq(r->map, "x");
	r = r->next;
	ck_assert_str_eq(r->options, "ldapserver=\"h\" ldapbasedn=\"a=b, \"\"c\"\"\"");
	r = r->next;
	ck_assert_int_eq(r->method, AUTH_TYPE_PAM);
	ck_assert_str_eq(r->options, "pamservice=\"weir\"");
	ck_assert_ptr_null(r->next);
}
END_TEST

START_TEST(every_error_is_told_with_its_line)
{
	static const struct {
		const char *text, *told;
	} wrong[] = {
		{"hots all all all trust", "dir/hba:1: type = hots: expected local, host"},
		{"host,local all all all trust", "dir/hba:1: type: expected one word"},
		{"host", "dir/hba:1: database: expected one behind"},
		{"host all", "dir/hba:1: user: expected one behind"},
		{"host all all", "dir/hba:1: address: expected one behind"},
		{"host all all 10.0.0.0", "dir/hba:1: mask: expected one behind"},
		{"host all all 10.0.0.0 md5", "dir/hba:1: mask = md5: expected a mask"},
		{"host all all 10.0.0.0 ffff:: md5", "dir/hba:1: mask = ffff::: expected"},
		{"host all all 10.0.0.0/40 md5", "dir/hba:1: address = 10.0.0.0/40"},
		{"host all all db.example.com md5", "names of hosts are not resolved"},
		{"host all all .example.com md5", "names of hosts are not resolved"},
		{"host all all all", "dir/hba:1: method: expected one behind"},
		{"host all all all gss", "dir/hba:1: method = gss: expected trust"},
		{"host all all all ident", "dir/hba:1: method = ident: expected trust"},
		{"host all all all peer", "begins with local"},
		{"host all all all cert", "begins with hostssl"},
		{"host all \"\" all md5", "expected a name of 1 to 127 bytes"},
		{"host all /( all md5", "user = (: expected a regular expression"},
		{"host all @none all md5", "user = dir/none: cannot be read"},
		{"host all all all md5 clientcert=verify-ca", "begins with hostssl"},
		{"hostssl all all all md5 clientcert=1", "expected verify-ca or verify-full"},
		{"hostssl all all all cert clientcert=verify-ca", "verify-full with method cert"},
		{"hostssl all all all cert clientname=XN", "expected CN or DN"},
		{"host all all all md5 map=m", "map = m: expected it with cert, peer"},
		{"host all all all md5 ldapserver=h", "ldapserver: expected clientcert"},
		{"host all all all ldap ldapserver=h", "dir/hba:1: option: expected ldapbasedn"},
		{"host all all all ldap ldapserver=h ldapport=0 ldapprefix=x",
			"dir/hba:1: ldapport: expected a port number"},
		{"host all all all ldap ldapbasedn=dc=a,dc=b",
			"dir/hba:1: dc: expected ldapserver"},
		{"host all all all ldap pamservice=x", "pamservice: expected ldapserver"},
		{"host all all all pam pamservice=a/b", "pamservice: expected the name of"},
		{"host all all all pam ldapserver=h", "ldapserver: expected pamservice or"},
		{"host all all all md5 word", "option: expected name=value"},
		{"host \"a all all md5", "dir/hba:1: expected a closing"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		ck_assert_msg(try_parse(wrong[i].text, NULL) == E_INVALID, "%s", wrong[i].text);
		ck_assert_uint_eq(fixture_found.n, 1);
		ck_assert_msg(fixture_has(FINDING_ERROR, wrong[i].told), "%s", wrong[i].text);
	}
	ck_assert_int_eq(try_parse("x\nlocal all all trust\ny\n", NULL), E_INVALID);
	ck_assert_uint_eq(fixture_found.n_errors, 2);
	ck_assert(fixture_has(FINDING_ERROR, "dir/hba:3: type = y"));
}
END_TEST

START_TEST(secrets_are_not_shown)
{
	ck_assert_int_eq(try_parse("host all all all md5 ldapbindpasswd=hush\n"
				   "host all all all ldap ldapbindpasswd=\"hush hush\" hush\n",
				 NULL),
		E_INVALID);
	ck_assert_uint_eq(fixture_found.n_errors, 2);
	ck_assert(!fixture_has(FINDING_ERROR, "hush"));
}
END_TEST

START_TEST(an_empty_file_fits_nobody)
{
	parse("");
	ck_assert_uint_eq(line_for("a", "b", NULL, false), 0);
	ck_assert_ptr_null(hba_rules(hba));
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("hba");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_first_rule_that_fits_decides);
	tcase_add_test(tc, types_of_connections);
	tcase_add_test(tc, databases_and_users);
	tcase_add_test(tc, members_of_roles);
	tcase_add_test(tc, lists_come_from_files_beside_the_rules);
	tcase_add_test(tc, own_addresses_and_networks);
	tcase_add_test(tc, methods_and_options);
	tcase_add_test(tc, every_error_is_told_with_its_line);
	tcase_add_test(tc, secrets_are_not_shown);
	tcase_add_test(tc, an_empty_file_fits_nobody);
	return unit_run("hba", tc);
}
