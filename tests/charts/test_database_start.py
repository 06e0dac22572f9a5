"""The start of the charts' databases on a volume, in real containers: nothing that may be data is touched."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.charts.databases import Container, Volume, docker, volume

from martline.dashboard.tables import postgres_role_statements, role_statements

FOLDER = {"postgres": "pgdata", "mysql": "data"}
MISSING = {"postgres": "PG_VERSION", "mysql": "mysql"}
MARKER = {"postgres": "first-start", "mysql": "state/first-start"}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Volume]]:
    """A volume of each database, with a row that the shop's user has written."""
    with ExitStack() as stack:
        made = {}
        for chart in FOLDER:
            made[chart] = stack.enter_context(volume(chart, tmp_path_factory.mktemp(chart)))
            write_a_row(made[chart])
        yield made


@pytest.fixture(params=["postgres", "mysql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Volume]:
    """An empty volume for one of the databases."""
    with volume(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def copy(store: Volume, filled: dict[str, Volume]) -> Volume:
    """A volume with a row, and with the passwords of its data."""
    store.take(filled[store.chart])
    return store


def sql(store: Volume, container: Container, statements: str) -> str:
    """The server's answer to the shop's own user."""
    if store.chart == "postgres":
        password = store.secret("postgres-client", "PGPASSWORD")
        command = [
            "psql",
            "--host=127.0.0.1",
            "--username=shop",
            "--no-psqlrc",
            "-v",
            "ON_ERROR_STOP=1",
            "-At",
            "shop",
        ]
        given = f"PGPASSWORD={password} exec {' '.join(command)}"
    else:
        given = f"MYSQL_PWD={store.secret('mysql-client', 'MYSQL_PWD')} exec mysql --no-defaults -N --host=127.0.0.1 --user=shop shop"
    run = container.execute("bash", "-c", f"{given} <<< {statements!r}")
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def mysql(store: Volume, container: Container, user: str, statements: str) -> str:
    """MySQL's answer to a user: root connects through the socket, others over TCP."""
    names = {"root": "mysql-admin", "shop": "mysql-client", "dashboard": "mysql-dashboard"}
    way = "--socket=/var/run/mysqld/mysqld.sock" if user == "root" else "--host=127.0.0.1"
    password = f"MYSQL_PWD={store.secret(names[user], 'MYSQL_PWD')}"
    client = "env", password, "mysql", "--no-defaults", "-N", "--raw", way, f"--user={user}"
    run = container.execute(*client, given=statements)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def psql(store: Volume, container: Container, user: str, statements: str) -> str:
    """PostgreSQL's answer to a role in the shop's database."""
    names = {"postgres": "postgres-admin", "shop": "postgres-client", "dashboard": "postgres-dashboard"}
    password = f"PGPASSWORD={store.secret(names[user], 'PGPASSWORD')}"
    client = (
        "psql",
        "--host=127.0.0.1",
        f"--username={user}",
        "--no-psqlrc",
        "-v",
        "ON_ERROR_STOP=1",
        "-At",
        "shop",
    )
    run = container.execute("env", password, *client, given=statements)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def refused(store: Volume, container: Container, user: str, statement: str) -> str:
    """PostgreSQL's reason for refusing a role's statement."""
    with pytest.raises(AssertionError) as failed:
        psql(store, container, user, statement)
    return str(failed.value)


def write_a_row(store: Volume) -> None:
    with store.serving() as server:
        sql(store, server, "CREATE TABLE kept (id integer PRIMARY KEY); INSERT INTO kept VALUES (42);")


def assert_the_row_is_there(store: Volume) -> None:
    with store.serving() as server:
        assert sql(store, server, "SELECT id FROM kept") == "42"


def assert_refused_untouched(store: Volume, *words: str) -> None:
    """The start is refused with a reason that contains these words, even when repeated, and no file changes."""
    before = store.files()
    for _ in range(2):
        ended = store.run_to_its_end()
        assert ended.code == 1, ended.log
        sentence = next(line for line in ended.log.splitlines() if line.startswith("Refused to start: "))
        for word in words:
            assert word in sentence
    assert store.files() == before


def test_rows_stay_over_restarts_and_kills(copy: Volume) -> None:
    with copy.serving() as server:
        server.kill()
    assert_the_row_is_there(copy)
    assert copy.shell("ls").split() == [FOLDER[copy.chart]]


def test_data_that_an_image_made_by_itself_serve_on_as_after_an_upgrade(store: Volume) -> None:
    """Earlier versions of the charts left the first start to the image's own entrypoint."""
    if store.chart == "postgres":
        made = {"POSTGRES_PASSWORD": store.secret("postgres-admin", "PGPASSWORD"), "PGDATA": "/volume/pgdata"}
        role = f"CREATE ROLE shop LOGIN PASSWORD '{store.secret('postgres-client', 'PGPASSWORD')}'; CREATE DATABASE shop OWNER shop"
        place, command, after = (
            "/volume",
            ["psql", "--username=postgres", "-f", "-"],
            role.replace("; ", ";\n") + ";\n",
        )
    else:
        made = {f"MYSQL_{name}": "shop" for name in ("USER", "DATABASE")}
        made["MYSQL_PASSWORD"] = store.secret("mysql-client", "MYSQL_PWD")
        made |= {"MYSQL_ROOT_PASSWORD": store.secret("mysql-admin", "MYSQL_PWD"), "MYSQL_ROOT_HOST": "localhost"}
        place, command, after = "/var/lib/mysql", ["true"], ""
    image = Container(
        docker(
            "run",
            "--detach",
            f"--volume={store.name}:{place}",
            *(f"--env={n}={v}" for n, v in made.items()),
            store.image,
        ).strip()
    )
    try:
        image.wait_until_it_serves(store.probe())
        run = image.execute(*command, given=after)
        assert run.returncode == 0, run.stderr
    finally:
        docker("stop", image.name)
        image.remove()
    if store.chart == "mysql":
        store.shell(
            "mkdir ../aside state; mv [!s]* s[!t]* ../aside; mkdir data; mv ../aside/* data; chown 999:999 data"
        )
    write_a_row(store)
    assert_the_row_is_there(store)


def test_a_volume_that_has_lost_its_marker_file_is_refused_and_serves_once_it_is_back(copy: Volume) -> None:
    folder, missing = FOLDER[copy.chart], MISSING[copy.chart]
    copy.shell(f"mv {folder}/{missing} aside")
    copy.shell("mkdir lost+found")
    before = copy.shell(f"ls -A {folder}")
    assert_refused_untouched(copy, folder, missing)
    assert copy.shell(f"ls -A {folder}") == before
    copy.shell(f"mv aside {folder}/{missing}")
    assert_the_row_is_there(copy)


def test_damaged_data_are_refused_whatever_an_earlier_version_has_marked(store: Volume) -> None:
    folder, marker = FOLDER[store.chart], MARKER[store.chart]
    store.shell(f"mkdir -p {folder}/base $(dirname {marker}); echo rows > {folder}/base/1; touch {marker}")
    assert_refused_untouched(store, folder)


def test_complete_data_with_an_earlier_versions_marker_serve_once_that_is_removed(copy: Volume) -> None:
    marker = MARKER[copy.chart]
    copy.shell(f"mkdir -p $(dirname {marker}); touch {marker}")
    assert_refused_untouched(copy, marker, "remove that file")
    copy.shell(f"rm {marker}")
    assert_the_row_is_there(copy)


def test_the_marker_of_an_earlier_version_on_an_empty_volume_goes_with_the_first_start(store: Volume) -> None:
    marker = MARKER[store.chart]
    store.shell(f"mkdir -p {FOLDER[store.chart]} $(dirname {marker}); touch {marker}; chmod -R 0777 .")
    write_a_row(store)
    assert not store.shell(f"find {marker} 2>/dev/null || true")


def test_data_at_another_place_of_the_volume_are_refused(store: Volume) -> None:
    store.shell("mkdir lost+found base; touch ibdata1 base/1")
    assert_refused_untouched(store, "base ibdata1", "empty volume")


def test_data_that_cannot_be_read_are_refused(store: Volume) -> None:
    store.shell(f"mkdir -m 0700 {FOLDER[store.chart]}; touch {FOLDER[store.chart]}/{MISSING[store.chart]}")
    assert_refused_untouched(store, "cannot be read")


def test_a_first_start_that_is_killed_at_any_moment_begins_again(store: Volume) -> None:
    draw = random.Random(store.chart)
    for _ in range(3):
        container = store.start()
        time.sleep(draw.uniform(0.3, 3.0))
        container.kill()
        container.remove()
    write_a_row(store)
    aside = store.shell("ls").split()
    assert aside.pop(0) == FOLDER[store.chart]
    assert all(name.startswith(f"{FOLDER[store.chart]}-unfinished-") for name in aside)


def test_what_first_starts_left_is_moved_aside_five_times_and_then_refused(store: Volume) -> None:
    unfinished = f"{FOLDER[store.chart]}-unfinished"
    store.shell(
        f"for n in 1 2 3 4; do mkdir {unfinished}-$n; done; mkdir {unfinished}; echo half > {unfinished}/made; chmod -R 0777 ."
    )
    write_a_row(store)
    assert store.shell(f"cat {unfinished}-5/made").strip() == "half"
    store.shell(f"mv {FOLDER[store.chart]} {unfinished}")
    assert_refused_untouched(store, "5 first starts", unfinished)


def test_a_first_start_that_fails_leaves_nothing_and_says_so(store: Volume) -> None:
    store.render({"no_such_setting": "on"})
    for _ in range(2):
        ended = store.run_to_its_end()
        assert ended.code != 0
        assert "no_such_setting" in ended.log
        assert "The first start failed" in ended.log
    assert store.shell("ls -A") == ""
    store.render()
    write_a_row(store)


@pytest.mark.parametrize("chart", ["postgres", "mysql"])
def test_a_full_disk_ends_the_first_start(chart: str, tmp_path: Path) -> None:
    with volume(chart, tmp_path, "8m") as small:
        ended = small.run_to_its_end()
        assert ended.code != 0
        assert "The first start failed" in ended.log


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_data_of_another_major_version_are_left_as_they_are(copy: Volume) -> None:
    copy.shell("echo 16 > pgdata/PG_VERSION")
    before = copy.files()
    ended = copy.run_to_its_end()
    assert ended.code != 0
    assert "initialized by PostgreSQL version 16" in ended.log
    assert copy.files() == before
    copy.shell("echo 17 > pgdata/PG_VERSION")
    assert_the_row_is_there(copy)


@pytest.mark.parametrize("initdb_left", ["a volume of this version", "a volume on which everyone is trusted"])
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_postgresql_lets_in_nobody_without_a_password(copy: Volume, initdb_left: str) -> None:
    if "trusted" in initdb_left:
        copy.shell("printf 'local all all trust\nhost all all all trust\n' > pgdata/pg_hba.conf")
    with copy.serving() as server:
        for host in ("/var/run/postgresql", "127.0.0.1"):
            for user in ("postgres", "shop", "airflow"):
                refused = server.execute(
                    "psql", "--no-password", f"--host={host}", f"--username={user}", "-c", "SELECT 1", "postgres"
                )
                assert refused.returncode == 2, (host, user)
                assert "no password supplied" in refused.stderr
        assert sql(copy, server, "SELECT 1") == "1"
        admin = f"PGPASSWORD={copy.secret('postgres-admin', 'PGPASSWORD')} exec psql -At --username=postgres -c 'SELECT 2'"
        assert server.execute("bash", "-c", admin).stdout == "2\n"


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_the_shops_role_cannot_copy_the_whole_server(copy: Volume) -> None:
    with copy.serving() as server:
        password = copy.secret("postgres-client", "PGPASSWORD")
        command = f"PGPASSWORD={password} exec pg_basebackup --host=127.0.0.1 --username=shop --pgdata=/tmp/copy"
        refused = server.execute("bash", "-c", command)
        assert refused.returncode != 0
        assert "no pg_hba.conf entry for replication connection" in refused.stderr
        slot = "SELECT slot_name FROM pg_create_logical_replication_slot($$one$$, $$pgoutput$$, true)"
        assert sql(copy, server, slot) == "one"


@pytest.mark.parametrize("store", ["mysql"], indirect=True)
def test_mysql_lets_in_nobody_without_a_password_and_root_by_its_socket_alone(copy: Volume) -> None:
    with copy.serving() as server:
        for user in ("root", "shop", "", "mysql.sys", "mysql.session"):
            for way in ("--protocol=socket", "--host=127.0.0.1"):
                refused = server.execute("mysql", way, f"--user={user}", "--execute=SELECT 1")
                assert refused.returncode == 1, (user, way)
        root = f"MYSQL_PWD={copy.secret('mysql-admin', 'MYSQL_PWD')} exec mysql --no-defaults --user=root -N"
        query = 'SELECT user, host, authentication_string = "" FROM mysql.user WHERE account_locked = "N"'
        found = mysql(copy, server, "root", query)
        assert sorted(found.splitlines()) == ["dashboard\t%\t0", "root\tlocalhost\t0", "shop\t%\t0"]
        assert server.execute("bash", "-c", f"{root} --host=127.0.0.1 --execute='SELECT 1'").returncode == 1
        assert sql(copy, server, "SELECT coalesce(@@secure_file_priv, 0x4e554c4c), @@local_infile") == "NULL\t1"


@pytest.mark.parametrize("store", ["mysql"], indirect=True)
def test_the_dashboards_role_has_the_rights_that_its_own_program_names_and_no_others(copy: Volume) -> None:
    statements = ";".join(role_statements("other", "%", "shop"))
    with copy.serving() as server:
        mysql(copy, server, "root", f"{statements}; GRANT ALL ON shop.* TO dashboard@'%'")
    with copy.serving() as server:
        wanted = mysql(copy, server, "root", "SHOW GRANTS FOR other@'%'").replace("`other`", "`dashboard`")
        assert sorted(mysql(copy, server, "dashboard", "SHOW GRANTS").splitlines()) == sorted(wanted.splitlines())
        assert "mart_sales_daily" in wanted


@pytest.mark.parametrize("store", ["mysql"], indirect=True)
def test_a_volume_of_an_earlier_version_gets_the_dashboards_role_with_the_password_of_its_secret(
    copy: Volume,
) -> None:
    with copy.serving() as server:
        mysql(copy, server, "root", "DROP USER dashboard@'%'")
    with copy.serving() as server:
        assert mysql(copy, server, "dashboard", "SELECT 5") == "5"
    copy.render()
    awkward = 'it\'s a \\ "pass`word" # % of two\nlines'
    (copy.folder / "secrets" / "dashboard" / "MYSQL_PWD").write_text(awkward)
    with copy.serving() as server:
        shown = awkward.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        server.execute(
            "bash", "-c", "cat > /tmp/options", given=f'[client]\nuser=dashboard\npassword="{shown}"\n'
        )
        client = "mysql", "--defaults-file=/tmp/options", "--host=127.0.0.1", "-N", "--execute=SELECT 6"
        answer = server.execute(*client)
        assert answer.stdout == "6\n", answer.stderr


@pytest.mark.parametrize("store", ["mysql"], indirect=True)
def test_a_role_of_the_dashboards_that_is_the_shops_user_is_refused(copy: Volume) -> None:
    (copy.folder / "secrets" / "dashboard" / "MYSQL_USER").write_text("shop")
    ended = copy.run_to_its_end()
    assert ended.code == 1
    assert "Refused to start: the Secrets mysql-dashboard and mysql-client name the same user" in ended.log


ROLES = """
    SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
        rolconnlimit, ARRAY(SELECT roleid::regrole FROM pg_auth_members WHERE member = role.oid),
        has_schema_privilege(role.oid, 'shop', 'USAGE'), has_schema_privilege(role.oid, 'shop', 'CREATE'),
        has_schema_privilege(role.oid, 'public', 'CREATE')
    FROM pg_roles role WHERE rolname IN ('dashboard', 'other') ORDER BY 1
"""


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_the_dashboards_role_in_postgresql_has_the_rights_that_its_own_program_names(copy: Volume) -> None:
    statements = ";".join(postgres_role_statements("other"))
    with copy.serving() as server:
        psql(copy, server, "postgres", f"{statements}; ALTER ROLE dashboard SUPERUSER REPLICATION CREATEROLE")
    with copy.serving() as server:
        one, other = psql(copy, server, "postgres", ROLES).splitlines()
        assert one.replace("dashboard", "other") == other
        granted = "SELECT acl FROM pg_namespace, unnest(nspacl) acl WHERE nspname = 'shop' ORDER BY acl::text"
        rights = psql(copy, server, "postgres", granted).splitlines()
        assert [right.partition("/")[0] for right in rights] == [
            "dashboard=U",
            "other=U",
            "pg_database_owner=UC",
        ]
        assert psql(copy, server, "dashboard", "SELECT count(*) FROM pg_replication_slots") == "0"
        psql(copy, server, "shop", "CREATE TABLE shop.made_by_the_owner ()")
        assert "permission denied" in refused(copy, server, "dashboard", "SELECT FROM shop.kept")


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_volume_of_an_earlier_version_gets_the_role_in_postgresql_with_the_password_of_its_secret(
    copy: Volume,
) -> None:
    with copy.serving() as server:
        psql(copy, server, "postgres", "DROP OWNED BY dashboard; DROP ROLE dashboard; DROP SCHEMA shop CASCADE")
        server.kill()  # so that the next start begins with a recovery
    with copy.serving() as server:
        assert psql(copy, server, "dashboard", "SELECT 5") == "5"
    awkward = 'it\'s a \\ "pass`word" # % of $HOME two\nlines'
    (copy.folder / "secrets" / "dashboard" / "PGPASSWORD").write_text(awkward)
    with copy.serving() as server:
        client = "psql", "--host=127.0.0.1", "--username=dashboard", "-At", "-c", "SELECT 6", "shop"
        answer = server.execute("env", f"PGPASSWORD={awkward}", *client)
        assert answer.stdout == "6\n", answer.stderr
        assert awkward.partition("\n")[0] not in server.log()


@pytest.mark.parametrize("other", ["shop", "airflow", "postgres"])
@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_a_role_of_the_dashboards_that_is_another_accounts_is_refused(copy: Volume, other: str) -> None:
    (copy.folder / "secrets" / "dashboard" / "PGUSER").write_text(other)
    ended = copy.run_to_its_end()
    assert ended.code == 1
    assert f"Refused to start: the Secret postgres-dashboard names the role {other}" in ended.log


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_postgresql_serves_also_where_the_dashboards_role_can_not_be_made(copy: Volume) -> None:
    with copy.serving() as server:
        psql(copy, server, "postgres", "\\c postgres\nALTER DATABASE shop RENAME TO elsewhere")
    with copy.serving() as server:
        assert 'database "shop" does not exist' in server.log()
        assert "The dashboard's role could not be created or corrected" in server.log()


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_data_that_follow_another_server_are_not_written_to_for_the_dashboard(copy: Volume) -> None:
    copy.shell("touch pgdata/standby.signal")
    with copy.serving() as server:
        assert sql(copy, server, "SELECT pg_is_in_recovery()") == "t"
        assert "The dashboard's role is left as it is" in server.log()


@pytest.mark.parametrize("store", ["mysql"], indirect=True)
def test_a_secret_may_hold_any_character(store: Volume) -> None:
    awkward = 'it\'s a \\ "pass`word" # %'
    (store.folder / "secrets" / "shop" / "MYSQL_PWD").write_text(awkward)
    with store.serving() as server:
        options = (
            "[client]\nuser=shop\npassword=" + '"' + awkward.replace("\\", "\\\\").replace('"', '\\"') + '"\n'
        )
        server.execute("bash", "-c", "cat > /tmp/options", given=options)
        answer = server.execute(
            "mysql", "--defaults-file=/tmp/options", "--host=127.0.0.1", "-N", "--execute=SELECT 3"
        )
        assert answer.stdout == "3\n", answer.stderr
