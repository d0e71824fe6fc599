"""The limit: only fetch the records and store their bytes in the database."""

import psycopg
from sqlalchemy import make_url

from bench.peers.confluent_loop import consumer, to_peer_record
from bench.peers.work import BATCH, read_config, report


def main() -> None:
    """Run until SIGTERM."""
    config = read_config()
    source = consumer(config.bootstrap, config.group)
    source.subscribe(config.topics)
    url = make_url(config.database).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE fetched (payload text NOT NULL)")
        connection.commit()
        while True:
            records = [to_peer_record(message) for message in source.consume(BATCH, 0.1) if message.error() is None]
            if not records:
                continue
            with connection.cursor() as cursor, cursor.copy("COPY fetched FROM STDIN") as copy:
                for record in records:
                    copy.write_row((record.value.decode(),))
            connection.commit()
            report([record.timestamp for record in records])
            source.commit(asynchronous=True)


if __name__ == "__main__":
    main()
