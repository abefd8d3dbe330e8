-- Objects for the traps that schema.sql has none of; load it after schema.sql, as a superuser.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS rx CASCADE;
CREATE SCHEMA rx;
DO $$ BEGIN
  EXECUTE format('ALTER DATABASE %I SET search_path = rt, rx, public', current_database());
END $$;
SET search_path = rx, rt, public;

CREATE TABLE x_log (id serial PRIMARY KEY, msg text);
CREATE FUNCTION x_write(int) RETURNS int LANGUAGE plpgsql AS
  'BEGIN INSERT INTO rx.x_log (msg) VALUES (''w''); RETURN $1; END';

-- what a non-volatile function reaches: standard SQL bodies, default arguments, composite types
CREATE FUNCTION x_atomic_seq() RETURNS bigint STABLE LANGUAGE sql
  BEGIN ATOMIC SELECT last_value FROM rt.s; END;
CREATE FUNCTION x_atomic_safe(int) RETURNS bigint STABLE LANGUAGE sql
  BEGIN ATOMIC SELECT count(*) FROM rt.t WHERE a = $1; END;
CREATE FUNCTION x_atomic_lock() RETURNS text STABLE LANGUAGE sql
  BEGIN ATOMIC SELECT CASE WHEN pg_is_in_recovery() THEN 's' ELSE 'p' END; END;
CREATE FUNCTION x_default_vol(a int DEFAULT rx.x_write(1)) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION x_default_ok(a int DEFAULT 1) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION x_row_default(r rt.t, n int DEFAULT 1) RETURNS int LANGUAGE plpgsql AS
  'BEGIN INSERT INTO rx.x_log (msg) VALUES (''row''); RETURN n; END';
CREATE FUNCTION x_any(anyelement) RETURNS int LANGUAGE plpgsql AS
  'BEGIN INSERT INTO rx.x_log (msg) VALUES (''any''); RETURN 1; END';
CREATE FUNCTION x_guc() RETURNS text STABLE LANGUAGE sql AS
  'SELECT current_setting(''transaction_read_only'')';
CREATE FUNCTION x_guc_ok() RETURNS text STABLE LANGUAGE sql AS
  'SELECT current_setting(''search_path'')';
CREATE FUNCTION x_long_name_of_a_function_that_is_longer_than_the_server_keeps_it(int) RETURNS int
  LANGUAGE plpgsql AS 'BEGIN INSERT INTO rx.x_log (msg) VALUES (''long''); RETURN 1; END';
CREATE FUNCTION "écrire"(int) RETURNS int LANGUAGE plpgsql AS
  'BEGIN INSERT INTO rx.x_log (msg) VALUES (''é''); RETURN 1; END';
CREATE FUNCTION "select"(int) RETURNS int LANGUAGE plpgsql AS
  'BEGIN INSERT INTO rx.x_log (msg) VALUES (''select''); RETURN 1; END';
CREATE FUNCTION "Mixed"(int) RETURNS int LANGUAGE plpgsql AS
  'BEGIN INSERT INTO rx.x_log (msg) VALUES (''mixed''); RETURN 1; END';

-- row-level security whose policy writes, or asks; a view over it
CREATE TABLE x_rls (id int, v text);
INSERT INTO x_rls VALUES (1, 'a');
CREATE POLICY x_p ON x_rls FOR SELECT USING (rx.x_write(id) > 0);
ALTER TABLE x_rls ENABLE ROW LEVEL SECURITY;
ALTER TABLE x_rls FORCE ROW LEVEL SECURITY;
CREATE VIEW x_v_rls AS SELECT * FROM x_rls;
CREATE TABLE x_tenant (id int, tenant text);
INSERT INTO x_tenant VALUES (1, 'a');
CREATE POLICY x_p ON x_tenant FOR SELECT USING (tenant = current_setting('app.tenant', true));
ALTER TABLE x_tenant ENABLE ROW LEVEL SECURITY;
CREATE TABLE x_role (id int);
CREATE POLICY x_p ON x_role FOR SELECT USING (current_setting('in_hot_standby') = 'off');
ALTER TABLE x_role ENABLE ROW LEVEL SECURITY;

-- views: of a view, with a lock, with TABLESAMPLE, with a harmless volatile function
CREATE VIEW x_v_random AS SELECT random() AS r;
CREATE VIEW x_v_stat AS SELECT pid FROM pg_stat_activity;
CREATE VIEW x_v_guc AS SELECT current_setting('port') AS p;
CREATE VIEW x_v_guc_ok AS SELECT current_setting('TimeZone') AS p;
CREATE VIEW x_v_op AS SELECT 1 OPERATOR(rt.@!@) 2 AS o;
CREATE VIEW x_v_agg AS SELECT rt.agg_log(id) AS a FROM rt.t WHERE id < 3;
CREATE VIEW x_v_cast AS SELECT (ROW(1)::rt.wrapped)::int AS c;
CREATE VIEW x_v_dom AS SELECT 5::rt.dom_log AS d;
CREATE VIEW x_v_sample AS SELECT count(*) AS n FROM rt.t TABLESAMPLE system (100);
CREATE VIEW x_v_part AS SELECT * FROM rt.part;
CREATE VIEW x_v_plain AS SELECT id FROM rt.plain_part;
CREATE VIEW x_v_deep AS SELECT o FROM (SELECT o FROM x_v_op) q;
CREATE VIEW x_v_sub AS SELECT (SELECT max(n) FROM rt.v_seq) AS m;

-- types
CREATE DOMAIN x_dom2 AS rt.dom_log CHECK (VALUE < 100);
CREATE TYPE x_comp AS (a int, d rt.dom_log);
CREATE TABLE x_wrapped (id int, w rt.wrapped);
INSERT INTO x_wrapped VALUES (1, ROW(7));
CREATE TYPE x_from AS (v int);
CREATE FUNCTION x_to_int(x_from) RETURNS int LANGUAGE plpgsql AS
  'BEGIN INSERT INTO rx.x_log (msg) VALUES (''cast''); RETURN 1; END';
CREATE CAST (x_from AS int) WITH FUNCTION x_to_int(x_from) AS IMPLICIT;
CREATE FUNCTION x_make() RETURNS x_from IMMUTABLE LANGUAGE sql AS 'SELECT ROW(3)::rx.x_from';

-- relations
CREATE UNLOGGED TABLE x_unlogged (id int);
CREATE TABLE x_parent (id int);
CREATE UNLOGGED TABLE x_child () INHERITS (x_parent);
CREATE TABLE x_part2 (id int) PARTITION BY RANGE (id);
CREATE TABLE x_part2_a PARTITION OF x_part2 FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
CREATE UNLOGGED TABLE x_part2_a_1 PARTITION OF x_part2_a FOR VALUES FROM (0) TO (50);
CREATE TABLE x_trig (id int, n int DEFAULT 0);
INSERT INTO x_trig VALUES (1, 0);
CREATE FUNCTION x_trig_fn() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM nextval(''rt.s''); RETURN NEW; END';
CREATE TRIGGER x_trig_t BEFORE UPDATE ON x_trig FOR EACH ROW EXECUTE FUNCTION x_trig_fn();
CREATE MATERIALIZED VIEW x_mv AS SELECT rt.f_vol_pure(1) AS n;
CREATE TABLE x_words (id int, x_unlogged int, s int, s2 int, nextval int, currval int, u int,
                      set_config int, pg_advisory_lock int, abs int, listen int, "order" int);
INSERT INTO x_words VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);

GRANT USAGE ON SCHEMA rx TO rt_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA rx TO rt_reader;
