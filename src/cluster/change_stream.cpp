/*
 * change_stream.cpp: reading pgoutput's messages.
 *
 * The source decodes as its log grows; the socket holds back a source that is faster than we are.
 * Marks, written by SQL into the source's log, come back in the stream after everything that was
 * committed before them: whoever needs to know that nothing is missing writes one and reads up to
 * it.
 */
#include "change_stream.h"

#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "libpq/pqformat.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* Flag of a column in a table's description. */
constexpr int KEY_COLUMN = 1;
/* Prefix of our messages in the log. */
constexpr const char *MARK_PREFIX = "citus";

ChangedTable *read_table(StringInfo message, MemoryContext context)
{
	const MemoryContext previous = MemoryContextSwitchTo(context);
	auto *table = static_cast<ChangedTable *>(palloc0(sizeof(ChangedTable)));
	*table = ChangedTable();
	table->id = pq_getmsgint(message, 4);
	const char *schema = pq_getmsgstring(message);
	const char *name = pq_getmsgstring(message);
	table->name = quote_qualified_identifier(schema[0] != '\0' ? schema : "pg_catalog", name);
	table->full_identity = pq_getmsgbyte(message) == 'f';
	const int count = static_cast<int>(pq_getmsgint(message, 2));
	for (int i = 0; i < count; i++)
	{
		table->is_key.push((pq_getmsgbyte(message) & KEY_COLUMN) != 0);
		table->columns.push(pstrdup(pq_getmsgstring(message)));
		pq_getmsgint(message, 4);
		pq_getmsgint(message, 4);
	}
	MemoryContextSwitchTo(previous);
	return table;
}

std::span<const ChangeValue> read_row(StringInfo message)
{
	const int count = static_cast<int>(pq_getmsgint(message, 2));
	auto *values = static_cast<ChangeValue *>(palloc0(sizeof(ChangeValue) * (count + 1)));
	for (int i = 0; i < count; i++)
	{
		const int kind = pq_getmsgbyte(message);
		if (kind == 'n')
			values[i].kind = ChangeValue::Kind::Null;
		else if (kind == 'u')
			values[i].kind = ChangeValue::Kind::Unchanged;
		else if (kind == 't')
		{
			const int length = static_cast<int>(pq_getmsgint(message, 4));
			values[i].kind = ChangeValue::Kind::Text;
			values[i].text = pnstrdup(pq_getmsgbytes(message, length), length);
		}
		else
			ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
							errmsg("unknown kind of column %d in a change", kind)));
	}
	return {values, static_cast<size_t>(count)};
}

/* A message of pg_logical_emit_message(): a mark if it is one of ours. */
void read_mark(StringInfo message, Change *change)
{
	pq_getmsgbyte(message);
	pq_getmsgint64(message);
	const bool ours = strcmp(pq_getmsgstring(message), MARK_PREFIX) == 0;
	const int length = static_cast<int>(pq_getmsgint(message, 4));
	const char *text = pq_getmsgbytes(message, length);
	if (!ours)
		return;
	change->kind = Change::Kind::Mark;
	change->mark = pnstrdup(text, length);
}

Change read_change(StringInfo message, MemoryContext table_context)
{
	Change change = {Change::Kind::Other, nullptr, 0, {}, {}, nullptr};
	int part;
	switch (pq_getmsgbyte(message))
	{
	case 'R':
		change.kind = Change::Kind::Table;
		change.table = read_table(message, table_context);
		break;
	case 'I':
		change.kind = Change::Kind::Insert;
		change.table_id = pq_getmsgint(message, 4);
		pq_getmsgbyte(message);
		change.new_row = read_row(message);
		break;
	case 'U':
		change.kind = Change::Kind::Update;
		change.table_id = pq_getmsgint(message, 4);
		part = pq_getmsgbyte(message);
		if (part == 'K' || part == 'O')
		{
			change.old_row = read_row(message);
			pq_getmsgbyte(message);
		}
		change.new_row = read_row(message);
		break;
	case 'D':
		change.kind = Change::Kind::Delete;
		change.table_id = pq_getmsgint(message, 4);
		pq_getmsgbyte(message);
		change.old_row = read_row(message);
		break;
	case 'T':
		change.kind = Change::Kind::Truncate;
		break;
	case 'M':
		read_mark(message, &change);
		break;
	default:
		break;
	}
	return change;
}

/* Waits for more of the stream, or for room to send. */
void wait_for_stream(remote::Session *session)
{
	PGconn *connection = remote::connection(session);
	const int events =
		PQflush(connection) > 0 ? WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
	WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | events, PQsocket(connection),
					  -1, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (!remote::consume_input(session))
		remote::raise_connection_lost(session);
}

/* The next message of the replication protocol, in CurrentMemoryContext. */
StringInfoData next_message(remote::Session *session)
{
	PGconn *connection = remote::connection(session);
	for (;;)
	{
		char *buffer = nullptr;
		const int length = PQgetCopyData(connection, &buffer, 1);
		if (length > 0)
		{
			StringInfoData message;
			initStringInfo(&message);
			appendBinaryStringInfo(&message, buffer, length);
			PQfreemem(buffer);
			return message;
		}
		if (length < 0)
		{
			/* The source gave up, and says why. */
			remote::drain(session);
			ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE),
							errmsg("node %s:%d has ended its stream of changes",
								   remote::host(session), remote::port(session))));
		}
		wait_for_stream(session);
	}
}

} // namespace

char *mark_sql(const char *mark)
{
	pg::Str sql;
	sql.raw("SELECT pg_catalog.pg_logical_emit_message(true, ").literal(MARK_PREFIX);
	return sql.raw(", ").literal(mark).ch(')').c_str();
}

ChangeStream open_changes(const remote::Endpoint& endpoint, const char *slot,
						  const char *publication)
{
	remote::Endpoint source = endpoint;
	source.replication = true;
	remote::Session *session = remote::connect(source);
	remote::set_claimed(session, true);
	/* Values are written as text under these, and read again by another server. A reader that is
	 * busy applying, or waits to be told how far to go, is not lost. */
	remote::execute(session, "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; "
							 "SET extra_float_digits = 3; SET wal_sender_timeout = 0");
	pg::Str sql;
	sql.raw("START_REPLICATION SLOT ").ident(slot).raw(" LOGICAL 0/0 (proto_version '1', ");
	sql.raw("messages 'true', publication_names ").literal(quote_identifier(publication)).ch(')');
	remote::send_simple(session, sql.c_str());
	PGresult *result = remote::next_result(session);
	if (PQresultStatus(result) != PGRES_COPY_BOTH)
		remote::raise_remote_error(session, result);
	PQclear(result);
	return {session, InvalidXLogRecPtr, GetCurrentTimestamp()};
}

void confirm_changes(ChangeStream *stream)
{
	StringInfoData reply;
	initStringInfo(&reply);
	stream->confirmed_at = GetCurrentTimestamp();
	pq_sendbyte(&reply, 'r');
	for (int i = 0; i < 3; i++) /* written, flushed, applied */
		pq_sendint64(&reply, stream->position);
	pq_sendint64(&reply, stream->confirmed_at);
	pq_sendbyte(&reply, 0);
	PGconn *connection = remote::connection(stream->session);
	if (PQputCopyData(connection, reply.data, reply.len) != 1 || PQflush(connection) < 0)
		remote::raise_connection_lost(stream->session);
	pfree(reply.data);
}

Change next_change(ChangeStream *stream, MemoryContext table_context)
{
	constexpr int CONFIRM_INTERVAL = 1000;
	if (TimestampDifferenceExceeds(stream->confirmed_at, GetCurrentTimestamp(), CONFIRM_INTERVAL))
		confirm_changes(stream);
	for (;;)
	{
		StringInfoData message = next_message(stream->session);
		const int kind = pq_getmsgbyte(&message);
		const auto position = static_cast<XLogRecPtr>(pq_getmsgint64(&message));
		stream->position = position > stream->position ? position : stream->position;
		if (kind == 'w')
		{
			pq_getmsgint64(&message); /* the end of the source's log */
			pq_getmsgint64(&message); /* its time */
			return read_change(&message, table_context);
		}
		if (kind != 'k')
			ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
							errmsg("unknown message %d in a stream of changes", kind)));
		pq_getmsgint64(&message);
		if (pq_getmsgbyte(&message) != 0)
			confirm_changes(stream);
		pfree(message.data);
	}
}

} // namespace civitas::cluster
