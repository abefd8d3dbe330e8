"""Settings of PgBouncer that one test each is enough for."""
import socket
import time

import pgwire


def refused(client, data):
    """The fields of the error that the connection ends with."""
    client.send(data)
    errors = [m for m in client.wait_closed() if m.kind == "E"]
    assert len(errors) == 1
    return errors[0].fields()


# --- tcp_defer_accept -----------------------------------------------------------------------

def test_silent_connection_is_accepted_at_once_only_without_defer_accept(site):
    with site.pgweir() as p:
        with socket.create_connection(("127.0.0.1", p.port)):
            time.sleep(0.3)
            assert p.show_one("LISTS", list="login_clients")["items"] == "0"
            p.reload(tcp_defer_accept=0)
            with socket.create_connection(("127.0.0.1", p.port)):
                p.wait_show("LISTS", lambda row: row["items"] == "1", list="login_clients")
            p.reload(tcp_defer_accept=1)
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"


# --- disable_pqexec -------------------------------------------------------------------------

def test_disable_pqexec_refuses_simple_queries(site):
    with site.pgweir(settings={"disable_pqexec": 1}) as p:
        with p.raw() as client:
            assert client.prepared("SELECT 1").value() == "1"
            # what was sent before it is answered first
            client.send(pgwire.prepared("SELECT 2"))
            fields = refused(client, pgwire.query("SELECT 3"))
            assert fields["S"] == "FATAL" and fields["C"] == "08P01"
            assert "disable_pqexec" in fields["M"]
        with p.raw() as client:
            assert client.prepared("SELECT 4").value() == "4"
        assert p.show("VERSION")  # the console speaks both


# --- max_packet_size ------------------------------------------------------------------------

def test_max_packet_size_of_clients(site):
    size = 100_000
    with site.pgweir(settings={"max_packet_size": size}) as p:
        fits = "SELECT length('" + "x" * (size - 5 - 18) + "')"
        with p.raw() as client:
            assert len(pgwire.query(fits)) == size
            assert client.query(fits).value() == str(size - 23)
            fields = refused(client, pgwire.query(fits + " "))
            assert fields["C"] == "08P01" and "max_packet_size" in fields["M"]
        p.reload(max_packet_size=size + 1)
        with p.raw() as client:
            assert client.query(fits + " ").value() == str(size - 23)


def test_max_packet_size_of_servers(site):
    size = 100_000
    with site.pgweir(settings={"max_packet_size": size}) as p, p.raw() as client:
        row = 1 + 4 + 2 + 4  # of a DataRow with one value
        query = "SELECT repeat('x', {})"
        assert len(client.query(query.format(size - row)).value()) == size - row
        result = client.query(query.format(size - row + 1))
        assert result.sqlstate == "54000" and "max_packet_size" in result.errors[0].fields["M"]
        assert client.value("SELECT 1") == "1", "the server is lost, the client is not"


# --- application_name_add_host --------------------------------------------------------------

def test_application_name_add_host(site):
    def name_of(conn):
        with conn.cursor() as cur:
            cur.execute("SHOW application_name")
            return cur.fetchone()[0]

    settings = {"application_name_add_host": 1, "unix_socket_dir": "{folder}"}
    with site.pgweir(settings=settings) as p:
        conn = p.connect(application_name="shop")
        mine = f"127.0.0.1:{socket.fromfd(conn.fileno(), socket.AF_INET, 0).getsockname()[1]}"
        assert name_of(conn) == f"shop - {mine}"
        assert conn.get_parameter_status("application_name") == f"shop - {mine}"
        conn.cursor().execute("SET application_name = 'own'")
        assert name_of(conn) == "own"
        conn.cursor().execute("RESET application_name")
        assert name_of(conn) == f"shop - {mine}"
        conn.close()
        conn = p.connect(host=p.folder)
        assert name_of(conn) == f"app - unix:{p.port}"
        conn.close()
    with site.pgweir() as p:
        conn = p.connect(application_name="shop")
        assert name_of(conn) == "shop"
        conn.close()
