#!/usr/bin/python3
"""Django's ORM: atomic, select_for_update, server-side cursors, several connections at once, views
under ATOMIC_REQUESTS."""
import contextlib
import io
import json
import threading
import time

import django
from behave import (BIG, CA, CLIENTS, DATABASE, HOST, PASSWORD, PORT, USER, behaviour, main,
                    psycopg2_notifies)
from django.conf import settings as configuration

NAMES = ["default"] + [f"c{i}" for i in range(1, CLIENTS)]


def database(**more):
    options = {"sslmode": "disable", **more.pop("OPTIONS", {})}
    return {"ENGINE": "django.db.backends.postgresql", "NAME": DATABASE, "USER": USER,
            "PASSWORD": PASSWORD, "HOST": HOST, "PORT": PORT, "CONN_MAX_AGE": None,
            "OPTIONS": options, **more}


configuration.configure(
    INSTALLED_APPS=[], USE_TZ=True, TIME_ZONE="UTC", DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="none",
    DATABASES={**{name: database() for name in NAMES},
               "default": database(ATOMIC_REQUESTS=True),
               "wrong": database(PASSWORD="wrong"), "unknown": database(NAME="no_such_database"),
               "tls": database(OPTIONS={"sslmode": "verify-full", "sslrootcert": CA})})
django.setup()

from django.db import IntegrityError, connections, models, transaction  # noqa: E402
from django.db.utils import DataError, Error, OperationalError  # noqa: E402
from django.http import JsonResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402


class Account(models.Model):
    name = models.TextField(unique=True)
    balance = models.IntegerField(default=0)

    class Meta:
        app_label = "drivers"
        db_table = "d_account"


class Temporary(models.Model):
    a = models.IntegerField(primary_key=True)

    class Meta:
        app_label = "drivers"
        db_table = "d_temp"
        managed = False


@contextlib.contextmanager
def fresh(*names):
    """The names' connections are made anew: what is set there ends with them."""
    for name in names:
        connections[name].close()
    try:
        yield names
    finally:
        for name in names:
            connections[name].close()


def run(name, sql, params=None):
    with connections[name].cursor() as cursor_:
        cursor_.execute(sql, params)


def value(name, sql, params=None):
    with connections[name].cursor() as cursor_:
        cursor_.execute(sql, params)
        return cursor_.fetchone()[0]


def code(call, *args):
    try:
        return call(*args)
    except Error as error:
        return error.__cause__.pgcode


@behaviour
def orm():
    with connections["default"].schema_editor() as editor:
        editor.execute("DROP TABLE IF EXISTS d_account")
        editor.create_model(Account)
    Account.objects.bulk_create(Account(name=f"a{i}", balance=i) for i in range(1000))
    seen = [Account.objects.using(name).aggregate(models.Sum("balance"))["balance__sum"]
            for name in NAMES]
    Account.objects.using("c1").filter(balance__gte=990).update(balance=models.F("balance") + 1)
    return seen + [list(Account.objects.using("c2").filter(balance__gte=998).order_by("name")
                        .values_list("name", "balance"))]


@behaviour
def atomic():
    seen = []
    for name in NAMES:
        try:
            with transaction.atomic(using=name):
                Account.objects.using(name).filter(name="a1").update(balance=0)
                try:
                    with transaction.atomic(using=name):
                        Account.objects.using(name).create(name="a2")
                except IntegrityError:
                    seen += [Account.objects.using(name).get(name="a1").balance]
                raise KeyError
        except KeyError:
            seen += [Account.objects.using(name).get(name="a1").balance]
    return seen


def add(name, count):
    for _ in range(count):
        with transaction.atomic(using=name):
            row = Account.objects.using(name).select_for_update().get(name="a0")
            row.balance += 1
            row.save(using=name)
    connections[name].close()


@behaviour
def select_for_update():
    before = Account.objects.get(name="a0").balance
    threads = [threading.Thread(target=add, args=(name, 20)) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Account.objects.get(name="a0").balance - before


def show_accounts(request, add):
    """A view: it reads, and writes if there is something to add; ?fail comes too late for that."""
    seen = [Account.objects.count(), Account.objects.aggregate(models.Sum("balance")),
            Account.objects.get(name="a7").balance]
    if add:
        Account.objects.filter(name="a7").update(balance=seen[-1] + add)
        seen += [Account.objects.get(name="a7").balance]
    if "fail" in request.GET:
        seen += [Account.objects.get(name="nobody")]
    return JsonResponse({"seen": seen})


urlpatterns = [path("accounts/<int:add>", show_accounts)]


def ask_for_accounts(answers):
    client = Client(raise_request_exception=False)
    for _ in range(20):
        answers.append(client.get("/accounts/0").content)
        time.sleep(0.1)
    connections["default"].close()


@behaviour
def read_transactions():
    """ATOMIC_REQUESTS: each request is one transaction, which is rolled back if its view fails."""
    answers = []
    threads = [threading.Thread(target=ask_for_accounts, args=(answers,)) for _ in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    client = Client(raise_request_exception=False)
    seen = [len(answers), sorted({json.dumps(json.loads(answer)) for answer in answers})]
    for url in ("3", "4?fail", "0", "0?fail", "5", "0"):
        response = client.get(f"/accounts/{url}")
        seen += [response.status_code, response.status_code == 200 and response.json()["seen"]]
    return seen


@behaviour
def cursor():
    rows = [Account.objects.using(name).order_by("id").iterator(chunk_size=100)
            for name in NAMES[:2]]
    seen = [sum(next(r).balance for _ in range(500)) for r in rows]
    return seen + [sum(a.balance for a in r) for r in rows]


@behaviour
def prepared():
    with fresh(*NAMES) as (one, two, *others):
        run(one, "PREPARE q (int) AS SELECT $1 + 1")
        run(two, "PREPARE q (int) AS SELECT $1 * 2")
        seen = [(value(one, "EXECUTE q(%s)", [i]), value(two, "EXECUTE q(%s)", [i]),
                 [value(name, "SELECT %s + 0", [i]) for name in others]) for i in range(6)]
        seen += [code(run, one, "PREPARE q AS SELECT 1"), code(value, others[0], "EXECUTE q(1)")]
        for name in (one, two):
            run(name, "DEALLOCATE q")
        return seen


@behaviour
def settings():
    for i, name in enumerate(NAMES):
        with connections[name].cursor() as cursor_:
            cursor_.execute(f"SET search_path = public, d{i}")
    seen = [value(name, "SHOW search_path") for name in NAMES * 2]
    seen += [value(name, "SHOW TimeZone") for name in NAMES]
    for name in NAMES:
        with connections[name].cursor() as cursor_:
            cursor_.execute("RESET search_path")
    return seen


@behaviour
def custom_setting():
    with fresh("c1", "c2") as (one, two):
        ask = "SELECT current_setting('app.user_id', true)"
        run(one, "SET app.user_id = '7'")
        seen = [value(one, ask), value(two, ask)]
        run(one, "SELECT set_config('app.user_id', %s, false)", ["8"])
        return seen + [value(one, ask), value(two, ask)]


@behaviour
def errors():
    seen = [code(value, "c1", sql) for sql in
            ("SELECT 1/0", "SELEKT 1", "SELECT * FROM no_such_table", "SELECT 1")]
    try:
        with transaction.atomic(using="c1"):
            value("c1", "SELECT 'x'::int")
    except DataError:
        seen += ["DataError"]
    return seen + [value("c1", "SELECT 5")]


@behaviour
def cancel():
    connections["c1"].ensure_connection()
    threading.Timer(0.3, connections["c1"].connection.cancel).start()
    return [code(value, "c1", "SELECT pg_sleep(30)"), value("c1", "SELECT 1"),
            value("c2", "SELECT 2")]


def raw_copy(name, sql, file):
    """By the driver's cursor: Django has no COPY, and passes its errors on as they are."""
    with connections[name].cursor() as cursor_:
        try:
            return cursor_.copy_expert(sql, file)
        except connections[name].Database.Error as error:
            return error.pgcode


@behaviour
def copy():
    run("c1", "DROP TABLE IF EXISTS d_copy; CREATE TABLE d_copy (a int, b text)")
    raw_copy("c1", "COPY d_copy FROM STDIN", io.StringIO(
        "".join(f"{i}\trow {i}\n" for i in range(10000))))
    seen = [value("c2", "SELECT count(*) || ' ' || sum(a) FROM d_copy")]
    out = io.StringIO()
    raw_copy("c2", "COPY d_copy TO STDOUT", out)
    seen += [len(out.getvalue()),
             raw_copy("c1", "COPY d_copy FROM STDIN", io.StringIO("x\ty\n")),
             value("c1", "SELECT count(*) FROM d_copy")]
    run("c1", "DROP TABLE d_copy")
    return seen


@behaviour
def listen():
    with fresh("c1", "c2") as (one, two):
        run(one, "LISTEN d_news")
        run(two, "NOTIFY d_news, 'hello'")
        run(two, "SELECT pg_notify('d_news', %s)", ["again"])
        raw = connections[one].connection
        return psycopg2_notifies(raw, 2)


@behaviour
def temp_table():
    run("c1", "CREATE TEMP TABLE d_temp (a int)")
    run("c2", "CREATE TEMP TABLE d_temp (a text)")
    Temporary.objects.using("c1").bulk_create([Temporary(a=1), Temporary(a=2)])
    run("c2", "INSERT INTO d_temp VALUES ('x')")
    seen = [Temporary.objects.using("c1").aggregate(models.Sum("a"))["a__sum"],
            value("c2", "SELECT max(a) FROM d_temp"),
            code(list, Temporary.objects.using("c3"))]
    for name in ("c1", "c2"):
        run(name, "DROP TABLE d_temp")
    return seen + [code(list, Temporary.objects.using("c1"))]


@behaviour
def advisory_lock():
    return [value("c1", "SELECT pg_try_advisory_lock(%s)", [79]),
            value("c2", "SELECT pg_try_advisory_lock(%s)", [79]),
            value("c1", "SELECT pg_advisory_unlock(%s)", [79]),
            value("c2", "SELECT pg_try_advisory_lock(%s)", [79]),
            value("c2", "SELECT pg_advisory_unlock(%s)", [79])]


@behaviour
def big_value():
    big = "0123456789abcdef" * (BIG // 16)
    account = Account.objects.create(name=big[:100], balance=1)
    seen = value("c1", "SELECT %s", [big]) == big
    account.delete()
    return seen


def login_error(name):
    try:
        connections[name].ensure_connection()
    except OperationalError as error:
        return str(error).splitlines()[0].rsplit("FATAL:  ", maxsplit=1)[-1]
    return "no error"


@behaviour
def wrong_password():
    return login_error("wrong")


@behaviour
def unknown_database():
    return login_error("unknown")


@behaviour
def tls():
    return [value("tls", "SELECT 1"), value("c1", "SELECT 2")]


@behaviour
def migration():
    with connections["c3"].schema_editor() as editor:
        field = models.TextField(default="x")
        field.set_attributes_from_name("note")
        editor.add_field(Account, field)
    seen = [value(name, "SELECT max(note) FROM d_account") for name in NAMES]
    with connections["c3"].schema_editor() as editor:
        editor.delete_model(Account)
    return seen


if __name__ == "__main__":
    main()
