#!/bin/sh
# Make catalog.tsv: what the catalog query of the classifier gives for schema.sql and extra.sql.
#
#     make_catalog.sh JUDGE DSN > catalog.tsv
#
# DSN is a superuser's, to a database of its own on a PostgreSQL 15 primary; it is filled here.
set -eu
judge=$1
dsn=$2
here=$(cd "$(dirname "$0")" && pwd)
psql -Xq -v ON_ERROR_STOP=1 -d "$dsn" -f "$here/schema.sql" >&2
psql -Xq -v ON_ERROR_STOP=1 -d "$dsn" -f "$here/extra.sql" >&2
version=$(psql -XAtq -d "$dsn" -c 'SHOW server_version_num')
"$judge" --catalog-sql "$version" | psql -XAtq -F "$(printf '\t')" -d "$dsn" -f - | LC_ALL=C sort
