import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** JDBC: named statements after prepareThreshold uses, autosave, fetch sizes, batches. */
public class Jdbc {
	static final int CLIENTS = 5;
	static final Map<String, String> ENV = System.getenv();

	interface Behaviour {
		Object run() throws Exception;
	}

	static Connection open(String... more) throws SQLException {
		Properties p = new Properties();
		p.put("user", ENV.get("PGUSER"));
		p.put("password", ENV.get("PGPASSWORD"));
		p.put("sslmode", "disable");
		String database = ENV.get("PGDATABASE");
		for (int i = 0; i < more.length; i += 2) {
			if (more[i].equals("database"))
				database = more[i + 1];
			else
				p.put(more[i], more[i + 1]);
		}
		return DriverManager.getConnection(
			"jdbc:postgresql://127.0.0.1:" + ENV.get("PGPORT") + "/" + database, p);
	}

	static List<Connection> open(int n, String... more) throws SQLException {
		List<Connection> all = new ArrayList<>();
		for (int i = 0; i < n; i++)
			all.add(open(more));
		return all;
	}

	static void close(List<Connection> all) throws SQLException {
		for (Connection c : all)
			c.close();
	}

	static String value(Connection c, String sql, Object... params) throws SQLException {
		try (PreparedStatement s = c.prepareStatement(sql)) {
			for (int i = 0; i < params.length; i++)
				s.setObject(i + 1, params[i]);
			try (ResultSet r = s.executeQuery()) {
				r.next();
				return r.getString(1);
			}
		}
	}

	static void run(Connection c, String sql) throws SQLException {
		try (Statement s = c.createStatement()) {
			s.execute(sql);
		}
	}

	static String code(Behaviour b) throws Exception {
		try {
			return String.valueOf(b.run());
		} catch (SQLException e) {
			return e.getSQLState();
		}
	}

	static void tell(String name, Behaviour b) {
		String result;
		try {
			result = String.valueOf(b.run());
		} catch (Throwable e) {
			e.printStackTrace();
			result = "failed: " + String.valueOf(e).split("\n")[0];
		}
		System.out.println(name + ": " + result);
	}

	static Object prepared(String threshold) throws Exception {
		List<Connection> all = open(CLIENTS, "prepareThreshold", threshold);
		List<PreparedStatement> own = new ArrayList<>(), same = new ArrayList<>();
		long sum = 0;
		for (int k = 0; k < CLIENTS; k++) {
			own.add(all.get(k).prepareStatement("SELECT ?::int * " + k));
			same.add(all.get(k).prepareStatement("SELECT ?::int + 1"));
		}
		for (int i = 0; i < 12; i++)
			for (int k = 0; k < CLIENTS; k++) {
				all.get(k).setAutoCommit(i % 3 != 0);
				for (PreparedStatement s : List.of(own.get(k), same.get(k))) {
					s.setInt(1, i);
					ResultSet r = s.executeQuery();
					r.next();
					sum += r.getInt(1);
				}
				if (i % 3 == 0)
					all.get(k).commit();
			}
		close(all);
		return sum;
	}

	static Object settings() throws Exception {
		List<Connection> all = open(CLIENTS, "options", "-c lock_timeout=4321");
		List<String> seen = new ArrayList<>();
		for (int i = 0; i < CLIENTS; i++) {
			run(all.get(i), "SET TimeZone = 'Etc/GMT+" + i + "'");
			all.get(i).setSchema("d" + i);
			all.get(i).setTransactionIsolation(i % 2 == 0 ? Connection.TRANSACTION_SERIALIZABLE
								      : Connection.TRANSACTION_READ_COMMITTED);
		}
		for (int round = 0; round < 2; round++)
			for (Connection c : all) {
				c.setAutoCommit(false);
				run(c, "SET LOCAL work_mem = '7MB'");
				run(c, "SET statement_timeout = 5000");
				c.rollback();
				c.setAutoCommit(true);
				for (String name : List.of("TimeZone", "statement_timeout", "search_path", "work_mem",
					     "lock_timeout", "transaction_isolation"))
					seen.add(value(c, "SHOW " + name));
			}
		run(all.get(0), "RESET ALL");
		seen.add(value(all.get(0), "SHOW lock_timeout"));
		close(all);
		return seen;
	}

	static Object customSetting() throws Exception {
		List<Connection> all = open(2);
		String ask = "SELECT current_setting('app.user_id', true)";
		List<String> seen = new ArrayList<>();
		run(all.get(0), "SET app.user_id = '7'");
		for (Connection c : all)
			seen.add(value(c, ask));
		value(all.get(0), "SELECT set_config('app.user_id', ?, false)", "8");
		for (Connection c : all)
			seen.add(value(c, ask));
		close(all);
		return seen;
	}

	static Object errors() throws Exception {
		try (Connection c = open()) {
			List<String> seen = new ArrayList<>();
			for (String sql :
				List.of("SELECT 1/0", "SELEKT 1", "SELECT * FROM no_such_table", "SELECT 1"))
				seen.add(code(() -> value(c, sql)));
			c.setAutoCommit(false);
			for (String sql : List.of("SELECT 1", "SELECT 'x'::int", "SELECT 1"))
				seen.add(code(() -> value(c, sql)));
			c.rollback();
			seen.add(value(c, "SELECT 5"));
			return seen;
		}
	}

	static Object cancel() throws Exception {
		try (Connection one = open(); Connection two = open();
			Statement s = one.createStatement()) {
			new Timer(true).schedule(new TimerTask() {
				public void run() {
					try {
						s.cancel();
					} catch (SQLException e) {
						e.printStackTrace();
					}
				}
			}, 300);
			String first = code(() -> s.execute("SELECT pg_sleep(30)"));
			s.setQueryTimeout(1);
			String second = code(() -> s.execute("SELECT pg_sleep(30)"));
			return List.of(first, second, value(one, "SELECT 1"), value(two, "SELECT 2"));
		}
	}

	static Object copy() throws Exception {
		try (Connection one = open(); Connection two = open()) {
			run(one, "DROP TABLE IF EXISTS d_copy");
			run(one, "CREATE TABLE d_copy (a int, b text)");
			StringBuilder rows = new StringBuilder();
			for (int i = 0; i < 10000; i++)
				rows.append(i + "\trow " + i + "\n");
			List<Object> seen = new ArrayList<>();
			seen.add(one.unwrap(PGConnection.class).getCopyAPI().copyIn(
				"COPY d_copy FROM STDIN", new StringReader(rows.toString())));
			seen.add(value(two, "SELECT count(*) || ' ' || sum(a) FROM d_copy"));
			ByteArrayOutputStream out = new ByteArrayOutputStream();
			two.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY d_copy TO STDOUT", out);
			seen.add(out.size());
			seen.add(code(() -> one.unwrap(PGConnection.class).getCopyAPI().copyIn(
				"COPY d_copy FROM STDIN", new StringReader("x\ty\n"))));
			seen.add(value(one, "SELECT count(*) FROM d_copy"));
			run(one, "DROP TABLE d_copy");
			return seen;
		}
	}

	static Object listen() throws Exception {
		try (Connection one = open(); Connection two = open()) {
			List<String> heard = new ArrayList<>();
			run(one, "LISTEN d_news");
			run(two, "NOTIFY d_news, 'hello'");
			value(two, "SELECT pg_notify(?, ?)", "d_news", "again");
			for (int i = 0; i < 20 && heard.size() < 2; i++) {
				PGNotification[] got = one.unwrap(PGConnection.class).getNotifications(500);
				for (PGNotification n : got != null ? got : new PGNotification[0])
					heard.add(n.getName() + " " + n.getParameter());
			}
			return heard;
		}
	}

	static Object tempTable() throws Exception {
		List<Connection> all = open(3);
		Connection one = all.get(0), two = all.get(1), three = all.get(2);
		run(one, "CREATE TEMP TABLE d_temp (a int)");
		run(two, "CREATE TEMP TABLE d_temp (a text)");
		run(one, "INSERT INTO d_temp VALUES (1), (2)");
		run(two, "INSERT INTO d_temp VALUES ('x')");
		List<String> seen = new ArrayList<>(List.of(value(one, "SELECT sum(a) FROM d_temp"),
			value(two, "SELECT max(a) FROM d_temp"), code(() -> value(three, "SELECT a FROM d_temp"))));
		run(one, "DROP TABLE d_temp");
		seen.add(code(() -> value(one, "SELECT a FROM d_temp")));
		close(all);
		return seen;
	}

	static Object advisoryLock() throws Exception {
		try (Connection one = open(); Connection two = open()) {
			return List.of(value(one, "SELECT pg_try_advisory_lock(?)", 80),
				value(two, "SELECT pg_try_advisory_lock(?)", 80),
				value(one, "SELECT pg_advisory_unlock(?)", 80),
				value(two, "SELECT pg_try_advisory_lock(?)", 80),
				value(two, "SELECT pg_advisory_unlock(?)", 80));
		}
	}

	static Object cursor() throws Exception {
		List<Connection> all = open(3);
		List<ResultSet> rows = new ArrayList<>();
		List<Long> sums = new ArrayList<>();
		for (int k = 0; k < 3; k++) {
			all.get(k).setAutoCommit(false);
			PreparedStatement s = all.get(k).prepareStatement("SELECT generate_series(1, 1000) * ?");
			s.setFetchSize(100);
			s.setInt(1, k + 1);
			rows.add(s.executeQuery());
			sums.add(0L);
		}
		for (int i = 0; i < 1000; i++)
			for (int k = 0; k < 3; k++) {
				rows.get(k).next();
				sums.set(k, sums.get(k) + rows.get(k).getInt(1));
			}
		for (Connection c : all)
			c.commit();
		Statement s = all.get(0).createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE,
			ResultSet.CONCUR_READ_ONLY, ResultSet.HOLD_CURSORS_OVER_COMMIT);
		s.setFetchSize(10);
		ResultSet held = s.executeQuery("SELECT generate_series(1, 100)");
		all.get(0).commit();
		long sum = 0;
		while (held.next())
			sum += held.getInt(1);
		sums.add(sum);
		close(all);
		return sums;
	}

	static Object bigValue() throws Exception {
		String big = "0123456789abcdef".repeat(10 * 1024 * 1024 / 16);
		try (Connection c = open()) {
			return List.of(value(c, "SELECT md5(?)", big), value(c, "SELECT ?::text", big).equals(big));
		}
	}

	static String loginError(String... target) {
		try {
			open(target).close();
			return "no error";
		} catch (SQLException e) {
			return e.getSQLState() + " " + e.getMessage().split("\n")[0];
		}
	}

	static Object tls() throws Exception {
		try (Connection one = open("sslmode", "verify-full", "sslrootcert", ENV.get("DRIVER_CA"));
			Connection two = open()) {
			return List.of(value(one, "SELECT 1"), value(two, "SELECT 2"));
		}
	}

	static Object autosave(String mode) throws Exception {
		List<Connection> all = open(3, "autosave", mode);
		List<String> seen = new ArrayList<>();
		for (Connection c : all)
			c.setAutoCommit(false);
		for (Connection c : all) {
			seen.add(value(c, "SELECT 1"));
			seen.add(code(() -> value(c, "SELECT 1/0")));
			seen.add(code(() -> value(c, "SELECT 2")));
		}
		for (Connection c : all)
			c.rollback();
		close(all);
		return seen;
	}

	/** Autocommit off: BEGIN goes out with the first statement, in one series. */
	static Object readTransactions(String threshold) throws Exception {
		List<Connection> all = open(CLIENTS, "prepareThreshold", threshold);
		List<PreparedStatement> sum = new ArrayList<>();
		run(all.get(0), "DROP TABLE IF EXISTS d_read");
		run(all.get(0), "CREATE TABLE d_read AS SELECT g AS a FROM generate_series(1, 100) g");
		for (Connection c : all) {
			c.setAutoCommit(false);
			sum.add(c.prepareStatement("SELECT sum(a) FROM d_read WHERE a > ?"));
		}
		long total = 0;
		for (int i = 0; i < 20; i++) {
			for (int k = 0; k < CLIENTS; k++) {
				sum.get(k).setInt(1, i);
				ResultSet r = sum.get(k).executeQuery();
				r.next();
				total += r.getLong(1) + Long.parseLong(value(all.get(k), "SELECT max(a) FROM d_read"));
				all.get(k).commit();
			}
			Thread.sleep(100);
		}
		List<Object> seen = new ArrayList<>(List.of(total));
		for (int k = 0; k < CLIENTS; k++) {
			Connection c = all.get(k);
			int top = Integer.parseInt(value(c, "SELECT max(a) FROM d_read"));
			run(c, "INSERT INTO d_read VALUES (" + (top + 1) + ")");
			seen.add(value(c, "SELECT max(a) FROM d_read"));
			if (k % 2 == 0)
				c.rollback();
			else
				c.commit();
			seen.add(value(c, "SELECT max(a) FROM d_read"));
			for (String sql : List.of("SELECT 1/0", "SELECT 1"))
				seen.add(code(() -> value(c, sql)));
			c.rollback();
		}
		run(all.get(0), "DROP TABLE d_read");
		all.get(0).commit();
		close(all);
		return seen;
	}

	/** DDL changes what a statement returns while it is prepared. */
	static Object alteredTable() throws Exception {
		List<Connection> all = open(3, "prepareThreshold", "1", "autosave", "conservative");
		List<String> seen = new ArrayList<>();
		run(all.get(0), "DROP TABLE IF EXISTS d_altered");
		run(all.get(0), "CREATE TABLE d_altered AS SELECT 1 AS a");
		List<PreparedStatement> select = new ArrayList<>();
		for (Connection c : all)
			select.add(c.prepareStatement("SELECT * FROM d_altered"));
		for (int round = 0; round < 3; round++) {
			for (PreparedStatement s : select) {
				ResultSet r = s.executeQuery();
				r.next();
				seen.add(r.getMetaData().getColumnCount() + " " + r.getString(1));
			}
			run(all.get(round), "ALTER TABLE d_altered ADD COLUMN c" + round + " text DEFAULT 'x'");
		}
		run(all.get(0), "DROP TABLE d_altered");
		close(all);
		return seen;
	}

	static Object batch() throws Exception {
		List<Connection> all = open(3, "reWriteBatchedInserts", "true");
		run(all.get(0), "DROP TABLE IF EXISTS d_batch");
		run(all.get(0), "CREATE TABLE d_batch (a serial PRIMARY KEY, b text)");
		long sum = 0;
		for (Connection c : all) {
			c.setAutoCommit(false);
			PreparedStatement s = c.prepareStatement(
				"INSERT INTO d_batch (b) VALUES (?)", Statement.RETURN_GENERATED_KEYS);
			for (int i = 0; i < 300; i++) {
				s.setString(1, "row " + i);
				s.addBatch();
			}
			s.executeBatch();
			ResultSet keys = s.getGeneratedKeys();
			while (keys.next())
				sum += keys.getInt(1);
			c.commit();
		}
		String rows = value(all.get(1), "SELECT count(*) FROM d_batch");
		all.get(1).commit();
		run(all.get(0), "DROP TABLE d_batch");
		all.get(0).commit();
		close(all);
		return List.of(rows, sum);
	}

	public static void main(String[] args) {
		tell("prepared", () -> List.of(prepared("1"), prepared("5"), prepared("0"), prepared("-1")));
		tell("settings", Jdbc::settings);
		tell("custom_setting", Jdbc::customSetting);
		tell("errors", Jdbc::errors);
		tell("cancel", Jdbc::cancel);
		tell("copy", Jdbc::copy);
		tell("listen", Jdbc::listen);
		tell("temp_table", Jdbc::tempTable);
		tell("advisory_lock", Jdbc::advisoryLock);
		tell("cursor", Jdbc::cursor);
		tell("big_value", Jdbc::bigValue);
		tell("wrong_password", () -> loginError("password", "wrong"));
		tell("unknown_database", () -> loginError("database", "no_such_database"));
		tell("tls", Jdbc::tls);
		tell("autosave", () -> List.of(autosave("always"), autosave("conservative"), autosave("never")));
		tell("read_transactions", () -> List.of(readTransactions("1"), readTransactions("5")));
		tell("altered_table", Jdbc::alteredTable);
		tell("batch", Jdbc::batch);
	}
}
