"""What functions set out of sight, in a database without routing: with and without its catalog."""
import urllib.request

import pgwire
import pytest

OUT_OF_SIGHT = """
CREATE SCHEMA hidden; GRANT ALL ON SCHEMA hidden TO PUBLIC;
CREATE FUNCTION hidden.sets_path(v text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN set_config('search_path', v, false); END $$;
CREATE FUNCTION public.sets_tenant(v text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RETURN set_config('app.tenant', v, false); END $$;
CREATE FUNCTION public.sets_nothing() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
CREATE PROCEDURE public.sets_memory() LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '9MB'; END $$;
CREATE TABLE hidden.noted (a int, b int);
CREATE FUNCTION hidden.notes() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM set_config('work_mem', '8MB', false); RETURN NULL; END $$;
CREATE TRIGGER notes BEFORE INSERT ON hidden.noted FOR EACH ROW EXECUTE FUNCTION hidden.notes();
CREATE VIEW hidden.paths AS SELECT hidden.sets_path('blue') AS path;
CREATE TABLE hidden.paint (c text);
GRANT ALL ON hidden.noted, hidden.paths, hidden.paint TO PUBLIC;
"""
CREDENTIALS = {
    "monitor": ({}, ""),
    "entry": ({"monitor_user": "", "monitor_password": ""}, " user=app password=app-secret"),
    "none": ({"monitor_user": "", "monitor_password": ""}, ""),
    "refused": ({"monitor_password": "wrong"}, ""),
}


@pytest.fixture(scope="module")
def hidden(site):
    site.cluster.primary.sql(OUT_OF_SIGHT, "app")
    yield
    site.cluster.primary.sql(
        "DROP SCHEMA hidden CASCADE; DROP FUNCTION sets_tenant, sets_nothing;"
        "DROP PROCEDURE sets_memory", "app")


@pytest.fixture(scope="module", params=list(CREDENTIALS))
def plain(site, hidden, request):
    """A pooler of one server with routing off; and has it a catalog?"""
    monitor, entry = CREDENTIALS[request.param]
    databases = site.app_on([site.cluster.primary], "routing=off" + entry)
    has_catalog = request.param in ("monitor", "entry")
    with site.pgweir(databases, settings={"default_pool_size": 1, **monitor}) as p:
        with p.raw() as c:
            c.query("SELECT 1").check()
        p.wait_log("catalog loaded" if has_catalog else "catalog not loaded")
        yield p, has_catalog


@pytest.fixture
def two(plain):
    with plain[0].raw() as one, plain[0].raw() as other:
        yield one, other


def told(client, name):
    return client.value(f"SELECT current_setting('{name}', true)")


def test_the_catalog_is_read_where_somebody_may_log_in(plain, site):
    p, has_catalog = plain
    rows = [(r["cluster"], r["database"], r["node"]) for r in p.show("CATALOG")]
    assert rows == ([(None, "app", f"127.0.0.1:{site.cluster.primary.port}")] if has_catalog else [])
    assert not any("WARN" in line for line in p.log_text().splitlines()
                   if "catalog not loaded" in line), "routing is off: it is no fault"


def asked(p):
    """Hidden queries for what has been set."""
    with urllib.request.urlopen(f"http://127.0.0.1:{p.stats_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines
               if line.startswith("pgweir_worker_settings_asked_total"))


@pytest.mark.parametrize("make", [pgwire.query, pgwire.prepared], ids=["simple", "extended"])
@pytest.mark.parametrize("call, name, shown", [
    ("SELECT hidden.sets_path('red')", "search_path", "red"),
    ("SELECT 1 FROM \"hidden\" . sets_path ('red') f(x)", "search_path", "red"),
    ("CALL sets_memory()", "work_mem", "9MB"),
    ("DO $$ BEGIN PERFORM hidden.sets_path('red'); END $$", "search_path", "red"),
    ("INSERT INTO hidden.paint(c) SELECT hidden.sets_path('red')", "search_path", "red"),
])
def test_what_a_call_sets_out_of_sight_stays_with_its_client(
        plain, two, call, name, shown, make):
    one, other = two
    default = told(other, name)
    for _ in range(2):
        one.run(make(call)).check()
        assert told(other, name) == default
        assert told(one, name) == shown
        one.query(f"RESET {name}").check()
        assert told(one, name) == default
    one.query("BEGIN").check()
    one.run(make(call)).check()
    assert told(one, name) == shown
    one.query("ROLLBACK").check()
    assert told(other, name) == told(one, name) == default
    assert plain[0].show("PINS") == []


@pytest.mark.parametrize("statement, name, shown", [
    ("INSERT INTO hidden.noted VALUES (1)", "work_mem", "8MB"),
    ("SELECT * FROM hidden.paths", "search_path", "blue"),
    ("SELECT sets_tenant('7')", "app.tenant", "7"),
])
def test_the_catalog_of_a_plain_database_knows_triggers_views_and_names(
        plain, two, statement, name, shown):
    if not plain[1]:
        pytest.skip("there is no catalog")
    one, other = two
    default = told(other, name)
    for _ in range(2):
        one.query(statement).check()
        assert told(other, name) == default
        assert told(one, name) == shown


def test_a_custom_parameter_of_a_function_reaches_nobody_else(plain, two):
    one, other = two
    one.query("SELECT sets_tenant('7')").check()
    assert not told(other, "app.tenant")
    one.query("SELECT set_config('app.tenant', '5', false)").check()
    one.query("SELECT sets_tenant('8')").check()
    assert not told(other, "app.tenant")
    assert told(one, "app.tenant") == "8", "its name is known now"


@pytest.mark.parametrize("statement, asks", [
    ("SELECT count(*), lower(max(relname)) FROM pg_class WHERE relname IN ('a')", False),
    ("SELECT coalesce(1, 2), now(), cast(1 AS numeric(3, 1))", False),
    ("SELECT x.a FROM generate_series(1, 2) AS x(a)", False),
    ("INSERT INTO hidden.paint(c) VALUES (upper('x'))", False),
    ("INSERT INTO hidden.paint (c) SELECT 'x' ON CONFLICT DO NOTHING", False),
    ("UPDATE hidden.paint SET (c) = ROW('z') WHERE c = 'y'", False),
    ("WITH w (a) AS (SELECT 1) SELECT a FROM w", False),
    ("SELECT sets_nothing()", True), ("SELECT \"sets_nothing\" ()", True),
    ("SELECT public.sets_nothing()", True), ("SELECT * FROM sets_nothing()", True),
    ("SELECT lower(sets_nothing()::text)", True),
    ("INSERT INTO hidden.paint(c) SELECT public.sets_nothing()", True),
    ("INSERT INTO hidden.paint VALUES (public.sets_nothing())", True),
])
def test_only_calls_that_may_set_something_are_asked_about(plain, two, statement, asks):
    p, has_catalog = plain
    before = asked(p)
    two[0].query(statement).check()
    two[1].query("SELECT 1").check()
    assert asked(p) - before == (asks and not has_catalog)
