"""The account of PostgreSQL that the services use, made by an administrator's before the first migration."""

import psycopg
from psycopg import sql


def ensure_account(database_url: str, admin: tuple[str, str], account: tuple[str, str]) -> None:
    """Make the account, a name and a password, or renew its password, and let it make tables in this database.

    It owns what it makes: workers make and drop partitions. The password goes to the server as a SCRAM verifier, so no log can hold it.

    Raises:
        psycopg.Error: the administrator may not, or the database is away.
    """
    name, password = account
    with psycopg.connect(database_url, user=admin[0], password=admin[1], connect_timeout=10) as connection:
        verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
        verb = sql.SQL("ALTER" if known else "CREATE")
        role, database = sql.Identifier(name), sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(verifier)))
        connection.execute(sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(database, role))
        connection.execute(sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(role))
