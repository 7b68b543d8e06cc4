/*
 * statements.cpp: sending statements and reading their results.
 *
 * Two modes. Simple protocol: one text at a time, results until a null. Pipeline: statements are
 * queued, one flush sends them with a Sync, results come in the same order. The queue of items
 * mirrors libpq's own command queue, so that each result is known to belong to a statement of the
 * caller or to one that this module slipped in (PREPARE, DEALLOCATE, settings): those are
 * swallowed. When such a hidden statement fails, its error is kept and given out in place of the
 * "aborted" result of the statement that it was for.
 *
 * Invariant: a session is busy from the first byte sent until the last result (the null of a simple
 * statement, the last Sync of a pipeline) was read.
 */
#include "civitas/pg/server.h"

#include "session_state.h"

#include "civitas/pg/clock.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_type.h"
#include "common/hashfn.h"
CIVITAS_PG_END

#include <cinttypes>

namespace civitas::remote {

namespace {

/* Prepared statements that a session keeps on its node. */
constexpr int MAX_PREPARED = 256;
/* Texts that a session remembers having sent once. */
constexpr int SEEN_STATEMENTS = 1024;

[[noreturn]] void raise_send_failure(Session *session)
{
	if (PQstatus(session->conn) != CONNECTION_OK)
		raise_connection_lost(session);
	char *message = safe_connection_message(session);
	ereport(ERROR, (errcode(ERRCODE_CONNECTION_EXCEPTION),
					errmsg("could not send a command to node %s:%d", session->host, session->port),
					errdetail_internal("%s", message)));
}

void require_connected(Session *session)
{
	if (session->state != SessionState::Connected)
		raise_connection_lost(session);
}

void push_item(Session *session, ItemKind kind, uint64 key = 0)
{
	if (session->item_count == session->item_capacity)
	{
		const int capacity = session->item_capacity == 0 ? 16 : session->item_capacity * 2;
		Item *items =
			static_cast<Item *>(MemoryContextAlloc(session->context, sizeof(Item) * capacity));
		for (int i = 0; i < session->item_count; i++)
			items[i] = session->items[(session->item_head + i) % session->item_capacity];
		if (session->items != nullptr)
			pfree(session->items);
		session->items = items;
		session->item_capacity = capacity;
		session->item_head = 0;
	}
	session->items[(session->item_head + session->item_count) % session->item_capacity] = {
		kind, false, key};
	session->item_count++;
}

void pop_item(Session *session)
{
	if (session->item_count == 0)
		return;
	session->item_head = (session->item_head + 1) % session->item_capacity;
	session->item_count--;
	if (session->cancel_owed)
		send_cancel(session);
}

/* --- prepared statements --- */

uint64 statement_key(const char *sql, const Parameters& parameters)
{
	uint64 key = hash_bytes_extended(reinterpret_cast<const unsigned char *>(sql),
									 static_cast<int>(strlen(sql)), parameters.count);
	if (parameters.types != nullptr && parameters.count > 0)
		key = hash_combine64(
			key, hash_bytes_extended(reinterpret_cast<const unsigned char *>(parameters.types),
									 static_cast<int>(sizeof(Oid)) * parameters.count, 0));
	return key;
}

Oid type_at(const Parameters& parameters, int index)
{
	return parameters.types != nullptr ? parameters.types[index] : InvalidOid;
}

bool same_statement(const PreparedStatement *statement, const char *sql,
					const Parameters& parameters)
{
	if (statement->type_count != parameters.count || strcmp(statement->sql, sql) != 0)
		return false;
	for (int i = 0; i < parameters.count; i++)
	{
		if (statement->types[i] != type_at(parameters, i))
			return false;
	}
	return true;
}

void forget_prepared(Session *session, PreparedStatement *statement)
{
	dlist_delete(&statement->lru);
	pfree(statement->sql);
	pfree(statement->types);
	const uint64 key = statement->key;
	hash_search(session->prepared, &key, HASH_REMOVE, nullptr);
	session->prepared_count--;
}

/* Whether what is queued next begins a transaction of its own on the node. */
bool begins_part(const Session *session)
{
	if (session->item_count == 0)
		return PQtransactionStatus(session->conn) == PQTRANS_IDLE;
	const int last = (session->item_head + session->item_count - 1) % session->item_capacity;
	return session->items[last].kind == ItemKind::HiddenSync;
}

/* DEALLOCATE takes a snapshot. Before a BEGIN it must be a part of its own, or the isolation level
 * could not be chosen any more. */
void queue_deallocate(Session *session, const PreparedStatement *statement)
{
	char sql[64];
	snprintf(sql, sizeof(sql), "DEALLOCATE %s", statement->name);
	const bool alone = begins_part(session);
	queue_hidden(session, sql);
	if (alone)
		queue_hidden_sync(session);
}

void create_prepared_table(Session *session)
{
	HASHCTL control;
	memset(&control, 0, sizeof(control));
	control.keysize = sizeof(uint64);
	control.entrysize = sizeof(PreparedStatement);
	control.hcxt = session->context;
	session->prepared = hash_create("civitas prepared statements", MAX_PREPARED, &control,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* The least recently used statement whose PREPARE was answered makes room. */
void evict_prepared(Session *session)
{
	dlist_iter iter;
	dlist_reverse_foreach(iter, &session->prepared_lru)
	{
		PreparedStatement *statement = dlist_container(PreparedStatement, lru, iter.cur);
		if (!statement->confirmed)
			continue;
		queue_deallocate(session, statement);
		forget_prepared(session, statement);
		return;
	}
}

/* Whether a statement with this key was sent not long ago. A text that comes once is not worth a
 * PREPARE, and later a DEALLOCATE. A stranger in its place costs no more than one of them. */
bool seen_before(Session *session, uint64 key)
{
	if (session->seen == nullptr)
		session->seen = static_cast<uint32 *>(
			MemoryContextAllocZero(session->context, sizeof(uint32) * SEEN_STATEMENTS));
	uint32 *place = &session->seen[key % SEEN_STATEMENTS];
	const uint32 mark = static_cast<uint32>(key >> 32);
	if (*place == mark)
		return true;
	*place = mark;
	return false;
}

/* The statement's entry, with PREPARE queued where the node does not hold it yet; null where it is
 * to be sent unprepared: the first time, and on a hash collision. */
PreparedStatement *find_or_prepare(Session *session, const char *sql, const Parameters& parameters)
{
	if (session->prepared == nullptr)
		create_prepared_table(session);

	const uint64 key = statement_key(sql, parameters);
	PreparedStatement *statement =
		static_cast<PreparedStatement *>(hash_search(session->prepared, &key, HASH_FIND, nullptr));
	if (statement != nullptr)
	{
		if (!same_statement(statement, sql, parameters))
			return nullptr;
		if (!statement->stale || !statement->confirmed)
		{
			dlist_move_head(&session->prepared_lru, &statement->lru);
			return statement;
		}
		queue_deallocate(session, statement);
		forget_prepared(session, statement);
	}
	else if (!seen_before(session, key))
		return nullptr;
	if (session->prepared_count >= MAX_PREPARED)
		evict_prepared(session);

	char *sql_copy = MemoryContextStrdup(session->context, sql);
	Oid *types = static_cast<Oid *>(
		MemoryContextAlloc(session->context, sizeof(Oid) * (parameters.count + 1)));
	for (int i = 0; i < parameters.count; i++)
		types[i] = type_at(parameters, i);
	statement =
		static_cast<PreparedStatement *>(hash_search(session->prepared, &key, HASH_ENTER, nullptr));
	/* The text is part of the name: should a pooler hand out a server's session that another one has
	 * used, there is no such statement, rather than another one's. */
	snprintf(statement->name, sizeof(statement->name), "civitas_" UINT64_FORMAT "_%016" PRIx64,
			 ++session->prepared_number, key);
	statement->sql = sql_copy;
	statement->types = types;
	statement->type_count = parameters.count;
	statement->confirmed = false;
	statement->stale = false;
	dlist_push_head(&session->prepared_lru, &statement->lru);
	session->prepared_count++;

	push_item(session, ItemKind::Prepare, key);
	session->busy = true;
	if (PQsendPrepare(session->conn, statement->name, sql, parameters.count, types) != 1)
		raise_send_failure(session);
	return statement;
}

/* A PREPARE was answered, or will never be. */
void settle_prepare(Session *session, uint64 key, bool prepared)
{
	PreparedStatement *statement =
		static_cast<PreparedStatement *>(hash_search(session->prepared, &key, HASH_FIND, nullptr));
	if (statement == nullptr)
		return;
	if (prepared)
		statement->confirmed = true;
	else
		forget_prepared(session, statement);
}

/* A record at a time where others wait on the socket: what OpenSSL has read ahead they do not see.
 */
void read_records(Session *session)
{
#ifdef USE_OPENSSL
	if (!session->reads_ahead)
		return;
	SSL_set_read_ahead(session->ssl, 0);
	session->reads_ahead = false;
#endif
}

void mark_flush(Session *session)
{
	const int rest = PQflush(session->conn);
	session->flush_pending = rest == 1;
	if (session->flush_pending)
		set_patient(session, true);
}

/* --- receiving --- */

void mark_idle(Session *session)
{
	Assert(session->item_count == 0);
	session->busy = false;
	session->cancel_owed = false;
	if (session->patient)
		set_patient(session, false);
}

void count_bytes(Session *session, const PGresult *result)
{
	const int rows = PQntuples(result);
	const int columns = PQnfields(result);
	uint64 bytes = 0;
	for (int row = 0; row < rows; row++)
	{
		for (int column = 0; column < columns; column++)
			bytes += PQgetlength(result, row, column);
	}
	session->bytes_received += bytes;
}

/* A result of a hidden item: dropped, but for the first error. */
void swallow(Session *session, Item *item, PGresult *result)
{
	const ExecStatusType status = PQresultStatus(result);
	const bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
					  status == PGRES_EMPTY_QUERY || status == PGRES_SINGLE_TUPLE;
	if (item->kind == ItemKind::Prepare)
		settle_prepare(session, item->statement_key, good);
	if (item->kind == ItemKind::Token && !good)
		session->proof_failed = true;
	if (status == PGRES_FATAL_ERROR && session->deferred_error == nullptr)
		session->deferred_error = result;
	else
		PQclear(result);
}

/* What became of a statement of the caller: the error of what was slipped in before it comes first.
 */
PGresult *substitute_deferred(Session *session, PGresult *result)
{
	if (session->deferred_error != nullptr)
	{
		PQclear(result);
		result = session->deferred_error;
		session->deferred_error = nullptr;
	}
	return result;
}

} // namespace

void reset_pipeline(Session *session)
{
	session->item_head = 0;
	session->item_count = 0;
	session->cancel_owed = false;
	session->flush_pending = false;
	session->want_single_row = false;
	if (session->deferred_error != nullptr)
	{
		PQclear(session->deferred_error);
		session->deferred_error = nullptr;
	}
}

/* --- sending --- */

namespace {

/* In pipeline mode, before all else: the proof that a node opened the session. What follows it in
 * the same part is not run unless the node accepts it; one that does not ends the session. */
void queue_proof(Session *session)
{
	if (session->secret == nullptr)
		return;
	uint8 token[NODE_TOKEN_SIZE];
	make_proof(session, token);
	const Oid type = BYTEAOID;
	const char *value = reinterpret_cast<const char *>(token);
	const int length = sizeof(token);
	const int format = 1;
	push_item(session, ItemKind::Token);
	session->busy = true;
	session->proving = true;
	if (PQsendQueryParams(session->conn, "SELECT citus_internal.prove_node($1)", 1, &type, &value,
						  &length, &format, 1) != 1)
		raise_send_failure(session);
	shield_queued(session);
}

/* The simple protocol has no parameters: the proof goes ahead and is waited for. */
void prove_and_wait(Session *session)
{
	begin_pipeline(session);
	queue_hidden_sync(session);
	mark_flush(session);
	while (session->busy)
	{
		PGresult *result = next_result(session);
		if (result != nullptr)
			raise_remote_error(session, own(result));
	}
	if (session->deferred_error != nullptr)
	{
		PGresult *error = own(session->deferred_error);
		session->deferred_error = nullptr;
		mark_failed(session);
		raise_remote_error(session, error);
	}
}

} // namespace

void send_simple(Session *session, const char *sql)
{
	require_connected(session);
	if (session->secret != nullptr)
		prove_and_wait(session);
	Assert(!session->busy && session->item_count == 0);
	if (PQpipelineStatus(session->conn) != PQ_PIPELINE_OFF &&
		PQexitPipelineMode(session->conn) != 1)
		raise_send_failure(session);
	log_command(session, sql);
	read_records(session);
	if (PQsendQuery(session->conn, sql) != 1)
		raise_send_failure(session);
	session->busy = true;
	mark_flush(session);
}

void begin_pipeline(Session *session)
{
	require_connected(session);
	if (PQpipelineStatus(session->conn) == PQ_PIPELINE_OFF &&
		PQenterPipelineMode(session->conn) != 1)
		raise_send_failure(session);
	if (session->secret != nullptr)
		queue_proof(session);
}

void send_single(Session *session, const char *sql)
{
	if (session->secret == nullptr)
	{
		send_simple(session, sql);
		return;
	}
	begin_pipeline(session);
	queue_query(session, sql, {}, false);
	flush_pipeline(session);
}

void queue_query(Session *session, const char *sql, const Parameters& parameters,
				 bool binary_result)
{
	log_command(session, sql);
	push_item(session, ItemKind::Query);
	session->busy = true;
	if (PQsendQueryParams(session->conn, sql, parameters.count, parameters.types, parameters.values,
						  parameters.lengths, parameters.formats, binary_result ? 1 : 0) != 1)
		raise_send_failure(session);
}

void queue_prepared(Session *session, const char *sql, const Parameters& parameters,
					bool binary_result)
{
	const PreparedStatement *statement = find_or_prepare(session, sql, parameters);
	if (statement == nullptr)
	{
		queue_query(session, sql, parameters, binary_result);
		return;
	}
	log_command(session, sql);
	push_item(session, ItemKind::Query, statement->key);
	session->busy = true;
	if (PQsendQueryPrepared(session->conn, statement->name, parameters.count, parameters.values,
							parameters.lengths, parameters.formats, binary_result ? 1 : 0) != 1)
		raise_send_failure(session);
}

void queue_hidden(Session *session, const char *sql)
{
	log_command(session, sql);
	push_item(session, ItemKind::Hidden);
	session->busy = true;
	if (PQsendQueryParams(session->conn, sql, 0, nullptr, nullptr, nullptr, nullptr, 0) != 1)
		raise_send_failure(session);
}

void queue_hidden_prepared(Session *session, const char *sql, const Parameters& parameters)
{
	const PreparedStatement *statement = find_or_prepare(session, sql, parameters);
	log_command(session, sql);
	push_item(session, ItemKind::Hidden);
	session->busy = true;
	const int sent =
		statement != nullptr
			? PQsendQueryPrepared(session->conn, statement->name, parameters.count,
								  parameters.values, parameters.lengths, parameters.formats, 1)
			: PQsendQueryParams(session->conn, sql, parameters.count, parameters.types,
								parameters.values, parameters.lengths, parameters.formats, 1);
	if (sent != 1)
		raise_send_failure(session);
}

void queue_hidden_sync(Session *session)
{
	push_item(session, ItemKind::HiddenSync);
	session->busy = true;
	if (PQpipelineSync(session->conn) != 1)
		raise_send_failure(session);
}

void shield_queued(Session *session)
{
	if (PQsendFlushRequest(session->conn) != 1)
		raise_send_failure(session);
	for (int i = session->item_count - 1; i >= 0; i--)
	{
		Item& item = session->items[(session->item_head + i) % session->item_capacity];
		if (item.kind == ItemKind::Query || item.kind == ItemKind::Sync)
			break;
		item.shielded = true;
	}
}

void flush_pipeline(Session *session)
{
	read_records(session);
	push_item(session, ItemKind::Sync);
	session->busy = true;
	if (PQpipelineSync(session->conn) != 1)
		raise_send_failure(session);
	mark_flush(session);
}

/* --- receiving --- */

void read_ahead(Session *session)
{
#ifdef USE_OPENSSL
	if (session->ssl == nullptr || session->reads_ahead)
		return;
	SSL_set_read_ahead(session->ssl, 1);
	session->reads_ahead = true;
#endif
}

bool input_buffered(const Session *session)
{
#ifdef USE_OPENSSL
	/* What is buffered may be the beginning of a record: then OpenSSL has asked for more in vain.
	 */
	return session->reads_ahead && SSL_has_pending(session->ssl) == 1 &&
		   SSL_want(session->ssl) != SSL_READING;
#else
	return false;
#endif
}

void set_single_row(Session *session)
{
	if (PQpipelineStatus(session->conn) == PQ_PIPELINE_OFF)
		PQsetSingleRowMode(session->conn);
	else
		session->want_single_row = true;
}

bool consume_input(Session *session)
{
	if (session->flush_pending)
		mark_flush(session);
	const bool alive = PQconsumeInput(session->conn) == 1;
	if (session->first_notice != nullptr)
		forward_notices(session);
	/* What was received before the loss can still be read: the server's reason, above all. */
	return alive || PQisBusy(session->conn) == 0;
}

bool take_result(Session *session, PGresult **result)
{
	for (;;)
	{
		const bool pipelined = session->item_count > 0;
		Item item =
			pipelined ? session->items[session->item_head] : Item{ItemKind::Query, false, 0};
		if (pipelined && session->want_single_row && item.kind == ItemKind::Query &&
			PQsetSingleRowMode(session->conn) == 1)
			session->want_single_row = false;
		if (PQisBusy(session->conn))
			return false;

		PGresult *next = PQgetResult(session->conn);
		if (!pipelined)
		{
			if (next == nullptr)
				mark_idle(session);
			else if (PQresultStatus(next) == PGRES_TUPLES_OK ||
					 PQresultStatus(next) == PGRES_SINGLE_TUPLE)
				count_bytes(session, next);
			else if (PQresultStatus(next) == PGRES_COPY_IN)
				set_patient(session, true);
			*result = next;
			return true;
		}

		if (next == nullptr)
		{
			/* The end of a statement; libpq has no null after a Sync, nor (once it is lost) for the
			 * rest. */
			if (item.kind != ItemKind::Sync && item.kind != ItemKind::HiddenSync)
				pop_item(session);
			if (PQstatus(session->conn) != CONNECTION_OK)
				reset_pipeline(session);
			if (item.kind != ItemKind::Query)
			{
				if (session->item_count > 0)
					continue;
				mark_idle(session);
			}
			*result = nullptr;
			return true;
		}
		if (PQresultStatus(next) == PGRES_PIPELINE_SYNC)
		{
			session->proving = false;
			pop_item(session);
			if (session->item_count == 0)
				mark_idle(session);
			if (item.kind == ItemKind::HiddenSync)
			{
				PQclear(next);
				continue;
			}
			/* An error that belonged to no statement of the caller comes in place of the Sync. */
			if (session->deferred_error != nullptr)
			{
				PQclear(next);
				next = session->deferred_error;
				session->deferred_error = nullptr;
			}
			*result = next;
			return true;
		}
		if (item.kind != ItemKind::Query && PQstatus(session->conn) == CONNECTION_OK)
		{
			swallow(session, &item, next);
			continue;
		}
		next = substitute_deferred(session, next);
		if (PQresultStatus(next) == PGRES_TUPLES_OK || PQresultStatus(next) == PGRES_SINGLE_TUPLE)
			count_bytes(session, next);
		else if (PQresultStatus(next) == PGRES_FATAL_ERROR && item.statement_key != 0)
		{
			/* Whatever went wrong, a plan that no longer fits must not fail twice. */
			PreparedStatement *statement = static_cast<PreparedStatement *>(
				hash_search(session->prepared, &item.statement_key, HASH_FIND, nullptr));
			const char *sqlstate = PQresultErrorField(next, PG_DIAG_SQLSTATE);
			if (statement != nullptr && sqlstate != nullptr && strcmp(sqlstate, "0A000") == 0)
				statement->stale = true;
		}
		*result = next;
		return true;
	}
}

bool try_next_result(Session *session, PGresult **result)
{
	const bool ready = take_result(session, result);
	if (session->first_notice != nullptr)
		forward_notices(session);
	return ready;
}

bool wait_result(Session *session, PGresult **result)
{
	while (!try_next_result(session, result))
	{
		const uint32 events =
			session->flush_pending ? WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
		wait_socket(session, events, -1, Interrupts::Process);
		if (!consume_input(session))
			return false;
	}
	return true;
}

bool receive_copy_data(Session *session, StringInfo data)
{
	resetStringInfo(data);
	for (;;)
	{
		char *buffer = nullptr;
		const int length = PQgetCopyData(connection(session), &buffer, 1);
		if (length > 0)
		{
			/* The buffer is at risk only when memory is out. */
			appendBinaryStringInfo(data, buffer, length);
			PQfreemem(buffer);
			return true;
		}
		if (length == -1)
			return false;
		if (length == -2)
			raise_connection_lost(session);
		wait_socket(session, WL_SOCKET_READABLE, -1, Interrupts::Process);
		if (!consume_input(session))
			raise_connection_lost(session);
	}
}

PGresult *next_result(Session *session)
{
	PGresult *result = nullptr;
	if (!wait_result(session, &result))
		raise_connection_lost(session);
	return result;
}

namespace {

/* Ends a COPY that is in the way of reading results. Never waits, never raises. */
void leave_copy(Session *session, const PGresult *result)
{
	const ExecStatusType status = PQresultStatus(result);
	if (status == PGRES_COPY_IN || status == PGRES_COPY_BOTH)
	{
		PQputCopyEnd(session->conn, "the copy was given up");
		mark_flush(session);
	}
}

/* Drops rows of a COPY OUT. False where more have to be waited for. */
bool skip_copy_out(Session *session)
{
	for (;;)
	{
		char *row = nullptr;
		const int length = PQgetCopyData(session->conn, &row, 1);
		if (row != nullptr)
			PQfreemem(row);
		if (length == 0)
			return false;
		if (length < 0)
			return true;
	}
}

} // namespace

void drain(Session *session)
{
	PGresult *error = nullptr;
	while (session->busy)
	{
		PGresult *result = next_result(session);
		if (result == nullptr)
			continue;
		const ExecStatusType status = PQresultStatus(result);
		if (error == nullptr && (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE))
		{
			error = own(result);
			continue;
		}
		leave_copy(session, result);
		PQclear(result);
		if (status == PGRES_COPY_OUT)
		{
			while (!skip_copy_out(session))
			{
				wait_socket(session, WL_SOCKET_READABLE, -1, Interrupts::Process);
				if (!consume_input(session))
					raise_connection_lost(session);
			}
		}
	}
	if (error != nullptr)
		raise_remote_error(session, error);
}

bool discard_arrived(Session *session)
{
	constexpr int MOST = 4000;
	bool read = false;
	for (int count = 0; session->busy && count < MOST; count++)
	{
		PGresult *result = nullptr;
		if (take_result(session, &result))
		{
			PQclear(result);
			continue;
		}
		if (read || session->flush_pending || PQconsumeInput(session->conn) != 1)
			break;
		read = true;
	}
	return !session->busy;
}

bool send_quietly(Session *session, const char *sql)
{
	if (session->state != SessionState::Connected)
		return false;
	if (PQpipelineStatus(session->conn) != PQ_PIPELINE_OFF)
		PQexitPipelineMode(session->conn);
	read_records(session);
	if (PQsendQuery(session->conn, sql) != 1)
	{
		mark_failed(session);
		return false;
	}
	session->busy = true;
	mark_flush(session);
	log_command(session, sql);
	return true;
}

namespace {

/* The process was told to stop, or its server is going down. */
bool told_to_stop()
{
	return ProcDiePending || QueryCancelPending || postmaster_is_gone();
}

/* finish_quietly(); `cancel`: whatever still runs is cancelled, part by part: a cancel ends the
 * part of the pipeline up to the next Sync, and may come before the statement that it is meant for.
 */
bool finish(Session *session, int timeout_ms, int patience_ms, bool cancel, PGresult **error,
			char (&tag)[64])
{
	constexpr long CANCEL_INTERVAL = 1000;
	*error = nullptr;
	tag[0] = '\0';
	if (session->state != SessionState::Connected)
		return false;

	read_ahead(session);
	session->discard_notices = true;
	const TimestampTz start = pg::monotonic_now();
	TimestampTz end = TimestampTzPlusMilliseconds(start, timeout_ms);
	bool hurried = false;
	bool copying_out = false;
	while (session->busy)
	{
		PGresult *result = nullptr;
		if (copying_out ? skip_copy_out(session) : take_result(session, &result))
		{
			copying_out = false;
			if (result == nullptr)
				continue;
			const ExecStatusType status = PQresultStatus(result);
			copying_out = status == PGRES_COPY_OUT;
			leave_copy(session, result);
			if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
				strlcpy(tag, PQcmdStatus(result), sizeof(tag));
			if (status == PGRES_FATAL_ERROR && *error == nullptr)
				*error = result;
			else
				PQclear(result);
			if (cancel && status == PGRES_PIPELINE_SYNC && session->busy)
				send_cancel(session);
			continue;
		}
		const TimestampTz now = pg::monotonic_now();
		if (!hurried && told_to_stop())
		{
			hurried = true;
			const TimestampTz sooner = TimestampTzPlusMilliseconds(now, patience_ms);
			end = sooner < end ? sooner : end;
		}
		long remaining = TimestampDifferenceMilliseconds(now, end);
		const uint32 events =
			session->flush_pending ? WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE : WL_SOCKET_READABLE;
		const bool again = cancel && remaining > CANCEL_INTERVAL;
		if (again)
			remaining = CANCEL_INTERVAL;
		if (remaining <= 0)
			break;
		if (!wait_socket(session, events, remaining, Interrupts::Hold))
		{
			if (!again)
				break;
			send_cancel(session);
		}
		if (session->flush_pending)
			mark_flush(session);
		if (PQconsumeInput(session->conn) != 1 && PQisBusy(session->conn))
			break;
		/* The postmaster's death cannot be waited out: its event is there again at once. */
		if (postmaster_is_gone() && PQisBusy(session->conn))
			break;
	}
	session->discard_notices = false;
	drop_notices(session);
	const long left = TimestampDifferenceMilliseconds(pg::monotonic_now(), end);
	if (session->busy || session->proof_failed || PQstatus(session->conn) != CONNECTION_OK ||
		!finish_cancel(session, left))
	{
		mark_failed(session);
		return false;
	}
	return true;
}

} // namespace

bool finish_quietly(Session *session, int timeout_ms, int patience_ms, PGresult **error,
					char (&tag)[64])
{
	return finish(session, timeout_ms, patience_ms, false, error, tag);
}

bool drain_quietly(Session *session, bool cancel, int timeout_ms)
{
	if (cancel)
		send_cancel(session);
	PGresult *error;
	char tag[64];
	const bool good = finish(session, timeout_ms, timeout_ms, true, &error, tag);
	PQclear(error);
	return good && PQstatus(session->conn) == CONNECTION_OK;
}

/* --- whole statements --- */

void execute_single(Session *session, const char *sql)
{
	send_single(session, sql);
	drain(session);
}

void execute(Session *session, const char *sql)
{
	send_simple(session, sql);
	drain(session);
}

PGresult *query(Session *session, const char *sql)
{
	send_simple(session, sql);
	PGresult *last = nullptr;
	for (;;)
	{
		PGresult *result = next_result(session);
		if (result == nullptr)
			break;
		if (last != nullptr)
		{
			/* The first error is the one that counts. */
			if (PQresultStatus(last) == PGRES_FATAL_ERROR)
			{
				PQclear(result);
				continue;
			}
			release(last);
		}
		last = own(result);
	}
	if (last == nullptr || PQresultStatus(last) == PGRES_FATAL_ERROR ||
		PQresultStatus(last) == PGRES_BAD_RESPONSE)
	{
		if (last == nullptr)
			raise_connection_lost(session);
		raise_remote_error(session, last);
	}
	return last;
}

} // namespace civitas::remote
