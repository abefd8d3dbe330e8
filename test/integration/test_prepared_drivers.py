"""Drivers that keep the description of a result, while a table changes under them: they must never
read new columns by old types. Tables are changed past pgweir, so that nothing tells it."""
import asyncio
import pathlib
import shutil
import subprocess
import threading
import time

import psycopg
import pytest

asyncpg = pytest.importorskip("asyncpg")

SECONDS = 3
JDBC = pathlib.Path("/usr/share/java/postgresql.jar")
CHANGES = ("ALTER v TYPE text USING v::text", "ADD b text DEFAULT 'new'",
           "ALTER v TYPE bigint USING v::bigint", "ALTER v TYPE float8 USING v::float8", "DROP b",
           "ALTER v TYPE int USING v::int")


@pytest.fixture(scope="module")
def pooler(site):
    with site.pgweir(settings={"default_pool_size": 3}) as p:
        yield p


@pytest.fixture
def table(new_table, superuser):
    name = new_table("a int, v int")
    superuser(f"INSERT INTO {name} SELECT n, 7 FROM generate_series(1, 5) n")
    return name


class Changing:
    """The table changes all the time while the block runs."""

    def __init__(self, superuser, table):
        self.superuser, self.table, self.n = superuser, table, 0
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.change)

    def change(self):
        while not self.stop.wait(0.05):
            self.superuser(f"ALTER TABLE {self.table} {CHANGES[self.n % len(CHANGES)]}")
            self.n += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        assert self.n > 5


def assert_right(row):
    """Whatever the columns are now, their values are these."""
    assert row[0] in range(1, 6) and row[1] in (7, 7.0, "7") and list(row)[2:] in ([], ["new"]), row


@pytest.mark.parametrize("in_block", [False, True])
def test_asyncpg(pooler, superuser, table, in_block):
    """It prepares every statement once, and reads binary values by what it was told then."""
    answers, changed = [], []

    async def client():
        conn = await asyncpg.connect(host="127.0.0.1", port=pooler.port, user="app",
                                     password=pooler.site.passwords["app"], database="app")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                if in_block:
                    async with conn.transaction():
                        row = await conn.fetchrow(f"SELECT * FROM {table} WHERE a = $1", 2)
                else:
                    row = await conn.fetchrow(f"SELECT * FROM {table} WHERE a = $1", 2)
            except (asyncpg.InvalidCachedStatementError, asyncpg.FeatureNotSupportedError) as e:
                assert "cached" in str(e)
                changed.append(e)
                continue
            assert_right(row)
            answers.append(row)
        await conn.close()

    async def clients():
        await asyncio.gather(*(client() for _ in range(6)))
    with Changing(superuser, table) as changing:
        asyncio.run(clients())
    assert len(answers) > 100
    assert len({type(row["v"]) for row in answers}) > 1
    assert len(changed) <= 6 * (2 if in_block else 1) * changing.n


@pytest.mark.threads
@pytest.mark.parametrize("binary", [False, True])
def test_psycopg3(pooler, superuser, table, binary):
    """libpq describes in every unit: it is healed outside transactions, and never reads wrongly."""
    answers, changed, wrong = [], [], []

    def client():
        with pooler.connect3(prepare_threshold=0) as conn:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                try:
                    row = conn.execute(f"SELECT * FROM {table} WHERE a = %s", (3,),
                                       binary=binary).fetchone()
                    assert_right(row)
                    answers.append(row)
                except psycopg.errors.FeatureNotSupported as e:
                    changed.append(e)
                except Exception as e:  # pylint: disable=broad-except
                    wrong.append(e)
                    return
    threads = [threading.Thread(target=client) for _ in range(6)]
    with Changing(superuser, table) as changing:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
    assert len(answers) > 100
    assert len({type(row[1]) for row in answers}) > 1
    assert len(changed) <= changing.n


PROGRAM = """
import java.sql.*;

public class Shapes {
    static volatile int answers, changed;

    static void client(String url, String table, long millis) throws Exception {
        try (Connection c = DriverManager.getConnection(url);
                PreparedStatement s = c.prepareStatement(
                        "SELECT * FROM " + table + " WHERE a = ?")) {
            long end = System.currentTimeMillis() + millis;
            while (System.currentTimeMillis() < end) {
                s.setInt(1, 4);
                try (ResultSet r = s.executeQuery()) {
                    r.next();
                    int n = r.getMetaData().getColumnCount();
                    boolean right = r.getInt(1) == 4 && Double.parseDouble(r.getString(2)) == 7
                            && (n == 2 || n == 3 && r.getString(3).equals("new"));
                    if (!right)
                        throw new Exception("wrong row: " + r.getString(2));
                    answers++;
                } catch (SQLException e) {
                    if (!"0A000".equals(e.getSQLState()))
                        throw e;
                    changed++;
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        Thread[] threads = new Thread[4];
        for (int i = 0; i < threads.length; i++) {
            threads[i] = new Thread(() -> {
                try {
                    client(args[0], args[1], Long.parseLong(args[2]));
                } catch (Exception e) {
                    e.printStackTrace();
                    System.exit(1);
                }
            });
            threads[i].start();
        }
        for (Thread t : threads)
            t.join();
        System.out.println(answers + " " + changed);
    }
}
"""


@pytest.mark.skipif(not JDBC.exists() or shutil.which("javac") is None, reason="needs JDBC")
def test_jdbc(pooler, superuser, table, tmp_path):
    """pgjdbc names a statement at its fifth use, and does not describe it again."""
    (tmp_path / "Shapes.java").write_text(PROGRAM)
    subprocess.run(["javac", "Shapes.java"], cwd=tmp_path, check=True, timeout=60)
    url = (f"jdbc:postgresql://127.0.0.1:{pooler.port}/app?user=app"
           f"&password={pooler.site.passwords['app']}&binaryTransfer=true")
    with Changing(superuser, table):
        done = subprocess.run(["java", "-cp", f"{JDBC}:.", "Shapes", url, table,
                               str(SECONDS * 1000)], cwd=tmp_path, timeout=60,
                              capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 100, done.stdout
