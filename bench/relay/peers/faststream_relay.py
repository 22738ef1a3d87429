"""faststream-outbox's relay to Kafka as its tutorial shows it. Needs only the peers' packages."""

from __future__ import annotations

import asyncio
import json
import logging
import os

from faststream import FastStream
from faststream.confluent import KafkaBroker, KafkaResponse
from faststream_outbox import OutboxBroker, make_outbox_table
from faststream_outbox.annotations import OutboxMessage
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine

POOL = 60
"""A connection for each of fifty workers, and some."""


def application() -> FastStream:
    """Create the two brokers and the handler between them."""
    given = json.loads(os.environ["BENCH_PEER"])
    engine = create_async_engine(given["database"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=POOL)
    table = make_outbox_table(MetaData(), table_name="outbox")
    outbox = OutboxBroker(engine, outbox_table=table, log_level=logging.WARNING)
    kafka = KafkaBroker(
        given["bootstrap"],
        acks="all",
        compression_type="lz4",
        enable_idempotence=True,
        log_level=logging.WARNING,
        **given["broker"],
    )

    @kafka.publisher(given["topic"])  # type: ignore[untyped-decorator]  # not installed where types are checked
    @outbox.subscriber(given["queue"], **given["subscriber"])  # type: ignore[untyped-decorator]  # the same
    async def relay(body: dict[str, str], message: OutboxMessage) -> KafkaResponse:  # noqa: ARG001  # decoded, but the raw bytes are sent
        headers = message.headers
        return KafkaResponse(message.body, headers=headers, key=headers["ce_subject"].encode())

    return FastStream(outbox, on_startup=[kafka.start], after_shutdown=[kafka.stop])


if __name__ == "__main__":
    asyncio.run(application().run())
