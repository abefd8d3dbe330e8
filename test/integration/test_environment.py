"""A configuration in environment variables: PGWEIR_LISTEN_PORT, PGWEIR_DATABASE_app, …"""
import os
import subprocess

from tools import proc


def variables(p, site):
    """All that a daemon needs, without a file."""
    node = site.cluster.primary
    return {"PGWEIR_DATABASE_app": f"host=127.0.0.1 port={node.port}",
            "PGWEIR_LISTEN_ADDR": "127.0.0.1", "PGWEIR_LISTEN_PORT": str(p.port),
            "PGWEIR_UNIX_SOCKET_DIR": "", "PGWEIR_AUTH_FILE": f"{p.folder}/users.txt",
            "PGWEIR_ADMIN_USERS": "admin", "PGWEIR_SERVER_TLS_SSLMODE": "disable",
            "PGWEIR_SERVICE_HOST": "10.0.0.1", "PGWEIR_PORT": "tcp://10.0.0.1:6432"}


def without_file(site, **more):
    p = site.pgweir()
    p.config = None
    p.environment.update(variables(p, site))
    p.environment.update(more)
    return p


def settings(p):
    return {row["key"]: row["value"] for row in p.show("CONFIG")}


def check(site, *args, **env):
    done = subprocess.run([site.binary, "-t", *args], capture_output=True, text=True, timeout=60,
                          check=False, stdin=subprocess.DEVNULL, env=proc.clean_env(env))
    return done.returncode, done.stdout + done.stderr


def test_it_runs_from_the_environment_alone(site):
    with without_file(site, PGWEIR_DEFAULT_POOL_SIZE="3") as p:
        assert "config=environment" in p.log_text()
        with p.raw() as client:
            assert client.value("SELECT 1") == "1"
        assert settings(p)["default_pool_size"] == "3"
        assert p.show_one("DATABASES", name="app")["pool_size"] == "3"


def test_variables_count_over_the_file_and_set_over_them(site):
    with site.pgweir(settings={"default_pool_size": 4, "query_timeout": 11},
                     environment={"PGWEIR_DEFAULT_POOL_SIZE": "5"}) as p:
        assert settings(p)["default_pool_size"] == "5"
        assert settings(p)["query_timeout"] == "11"
        p.admin("SET default_pool_size = 6")
        assert settings(p)["default_pool_size"] == "6"
        p.reload(query_timeout=12)
        assert settings(p)["default_pool_size"] == "5"
        assert settings(p)["query_timeout"] == "12"


def test_a_secret_in_a_file_is_read_again_at_a_reload(site):
    """As container platforms rotate what they mount."""
    p = without_file(site, PGWEIR_DATABASE_app__USER="app")
    secret = f"{p.folder}/password"

    def write(text):
        with open(secret, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(secret, 0o600)
        proc.give_to_service_user(secret)
    write(site.passwords["app"] + "\n")
    p.environment["PGWEIR_DATABASE_app__PASSWORD_FILE"] = secret
    with p:
        with p.raw("other") as client:
            assert client.value("SELECT current_user") == "app"
        write("not the password\n")
        p.admin("RELOAD")
        p.wait_log("what=database name=app key=password")
        assert "not the password" not in p.log_text()


def test_errors_name_the_variable(site):
    status, text = check(site, PGWEIR_LISTEN_PORT="many", PGWEIR_DEFAULT_POL_SIZE="1",
                         PGWEIR_DATABASE_app__PASSWORD_FILE="/nonexistent")
    assert status == 1
    assert "PGWEIR_LISTEN_PORT: listen_port = many: expected" in text
    assert "PGWEIR_DEFAULT_POL_SIZE: unknown variable; expected PGWEIR_DEFAULT_POOL_SIZE?" in text
    assert "PGWEIR_DATABASE_app__PASSWORD_FILE: cannot read /nonexistent" in text


def test_without_file_and_variables_it_tells_what_it_needs(site):
    status, text = check(site, PGWEIR_PORT="tcp://10.0.0.1:6432")
    assert status == 2 and "PGWEIR_" in text
