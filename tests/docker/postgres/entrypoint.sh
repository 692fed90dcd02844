#!/bin/bash
# A new data directory gets its superuser, its password and the init scripts; then the command runs.
# Only for a container that already runs as postgres: docker-compose.yml says so.
set -eo pipefail

initialise() {
    # shellcheck disable=SC2086  # several arguments
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") $POSTGRES_INITDB_ARGS
    printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    # on the socket only: a program that waits for the port must not meet this server, which is about to stop
    pg_ctl --wait start --options="-c listen_addresses=''"
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        # shellcheck source=/dev/null
        case $script in
            *.sh) if [[ -x $script ]]; then "$script"; else . "$script"; fi ;;
            *.sql) psql --set=ON_ERROR_STOP=1 --no-password --no-psqlrc --username="$POSTGRES_USER" --dbname=postgres --file="$script" ;;
            *) echo "$0: ignoring $script" ;;
        esac
    done
    pg_ctl --wait --mode=fast stop
}

if [[ $1 == postgres && ! -s $PGDATA/PG_VERSION ]]; then
    export POSTGRES_USER=${POSTGRES_USER:-postgres} POSTGRES_PASSWORD=${POSTGRES_PASSWORD:?is not set}
    chmod 700 "$PGDATA"
    initialise
fi
exec "$@"
