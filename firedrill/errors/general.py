"""What a class or a SQLSTATE means in general: all that can be said of an unknown error."""

from __future__ import annotations

CLASSES = {
    "InterfaceError": (
        "asyncpg (or another driver) refused the call itself: it was used in a way that "
        "cannot work. Nothing was sent."
    ),
    "InternalClientError": (
        "asyncpg met a state that it does not expect, mostly as the connection was "
        "ending. It is neither a PostgresError nor an InterfaceError."
    ),
    "PostgresError": "PostgreSQL, or a pooler in its name, sent an error.",
    "DataError": (
        "A value does not fit the type that the query needs. Raised by asyncpg it was never sent."
    ),
    "ConnectionDoesNotExistError": (
        "The connection ended during an operation; its outcome is not known."
    ),
    "ProtocolViolationError": (
        "The server, or a pooler in front of it, refused a message of the protocol: 08P01."
    ),
    "InternalServerError": (
        "PostgreSQL, or a pooler that speaks in its name, reports an internal error: XX000."
    ),
    "ProgrammingError": "The SQL or the call is wrong: a name, a type, a parameter.",
    "OperationalError": "Something outside the SQL failed: the connection, the server, a limit.",
    "IntegrityError": "A constraint of the database refused the row.",
    "DBAPIError": (
        "SQLAlchemy wraps an error of the driver: its text and `error.orig` have the real one."
    ),
    "ConnectionRefusedError": "Nothing listens at this host and port, or a firewall rejects.",
    "ConnectionResetError": "The other side, or something in between, cut the connection.",
    "TimeoutError": "A time limit of this process is over; a traceback tells which.",
    "CancelledError": "The task was cancelled: by a timeout, a client that left, or a shutdown.",
    "OSError": "The operating system refused: errno in the text says what.",
    "RuntimeError": "Python or a library was used in a way that cannot work; often an event loop.",
    "TypeError": "A value of the wrong type, or a call with the wrong arguments.",
    "ValueError": "A value that is not allowed.",
    "AttributeError": (
        "The object has no such attribute: often None, or another type than expected."
    ),
    "KeyError": "A key that is not there.",
}
STATES = {
    "01": "a warning",
    "02": "no data",
    "08": "an error of the connection",
    "0A": "a feature that the server does not support here",
    "0B": "a transaction could not be begun",
    "21": "a cardinality violation: more rows than allowed",
    "22": "a data error: a value that does not fit",
    "23": "an integrity constraint was violated",
    "24": "a cursor in the wrong state",
    "25": "a transaction in the wrong state",
    "26": "a prepared statement of that name does not exist",
    "28": "the log-in was refused",
    "2D": "a transaction could not be ended here",
    "34": "a cursor of that name does not exist",
    "3B": "an error of a savepoint",
    "3D": "a database of that name does not exist",
    "3F": "a schema of that name does not exist",
    "40": "the transaction was rolled back: it may be tried again as a whole",
    "42": "a syntax error, a missing object or a missing right",
    "44": "a row would leave the view that it is written through",
    "53": "the server lacks a resource: connections, memory, disk",
    "54": "a limit of the server is exceeded",
    "55": "an object is not in the state that this needs",
    "57": "an operator or a timeout intervened",
    "58": "an error beyond PostgreSQL: files, operating system",
    "72": "a snapshot is too old",
    "F0": "the server's configuration file is wrong",
    "HV": "a foreign data wrapper failed",
    "P0": "an error of PL/pgSQL, often raised by a function on purpose",
    "XX": "an internal error of the server, or of a pooler that speaks in its name",
}
# Errors of these are not this course's, even where the words are the same.
DATABASES = (
    "redis", "valkey", "pymysql", "asyncmy", "aiomysql", "mysql", "mysqldb", "mariadb", "sqlite3",
    "aiosqlite", "sqlite", "pymongo", "motor", "mongodb", "mongo", "oracledb", "cx_oracle",
    "pyodbc", "mssql", "pymssql", "sql server", "clickhouse", "cassandra", "elasticsearch",
    "elastic_transport", "opensearch", "neo4j", "couchdb", "influxdb", "duckdb", "snowflake",
    "oracle", "tns", "ora-00001", "ora-00060", "ora-01017", "ora-12170", "ora-12514", "ora-12541",
    ":6379", ":27017", ":3306", ":9200", ":9092", ":5672", ":1433", ":1521", ":11211",
)  # fmt: skip
FOREIGN = (
    *DATABASES, "aiohttp", "httpx", "requests", "urllib3", "kafka", "aiokafka", "confluent_kafka",
    "botocore", "pika", "aio_pika", "amqp", "celery", "grpc", "paramiko", "ftplib", "smtplib",
    "docker", "kubernetes", "nats", "memcache", "ldap", "websockets", "openai", "anthropic",
    "nginx", "apache", "ssh", "scp", "curl", "wget", "npm", "git", "apt", "rsync", "rabbitmq",
    "zookeeper", "selenium", "playwright",
)  # fmt: skip
# What tells that a text of any code is about the course's subject.
SUBJECT = (
    r"asyncpg|psycopg|sqlalchemy|postgres|pgbouncer|pgvector|alembic|pg_|npgsql|pgpool|supavisor"
    r"|tortoise|:5432|:6432|port 5432|port 6432"
)
OURS = r"asyncpg|psycopg|postgres|pgbouncer|npgsql|pgpool|supavisor|:5432|:6432|asyncio extension"
COLLECT = (
    "the whole traceback, from its first line, with the errors that it was caused by; the log of "
    "PostgreSQL, and of the pooler if there is one, of that minute; the versions of PostgreSQL, "
    "asyncpg, and what is on top."
)
