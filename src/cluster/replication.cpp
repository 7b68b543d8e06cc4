/*
 * replication.cpp: logical decoding from sources to targets.
 *
 *   publication at the source -> slot (pgoutput), which exports the snapshot that it begins after
 *   -> [rows are copied under that snapshot] -> the target streams from the slot
 *   -> catch up: a mark in the source's log, the target applies up to it; again, until it is quick
 *   -> [writes blocked] -> the same once more, and the target commits
 *
 * Each stream has three sessions: one that holds the snapshot and is closed after the copy, one to
 * write marks at the source, one to the target, in a transaction that applies. All are open before
 * writes are blocked. Names are those that other tools look for; they carry the operation, so that
 * no two are equal.
 */
#include "replication.h"

#include "change_stream.h"
#include "civitas/cluster/cluster.h"
#include "civitas/ddl/own_publications.h"
#include "civitas/pg/sql_text.h"
#include "civitas/txn/transaction.h"
#include "cleanup.h"
#include "progress.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* One publication and slot, and who reads it. */
struct Stream
{
	catalog::Node source;
	catalog::Node target;
	Oid owner; /* of the tables */
	const char *publication;
	const char *slot;
	const char *snapshot;
	remote::Session *snapshot_session;
	remote::Session *source_session;
	remote::Session *target_session;
};
CIVITAS_SERVER_STATE(Stream);

} // namespace

struct Replication
{
	int64 operation;
	Transfers transfers;
	pg::Vec<Stream> streams;
	pg::Vec<const char *> snapshots;
	int marks; /* rounds of catching up so far */
};

namespace {

/* Catching up ends when a round takes no longer than this, ms ... */
constexpr int SHORT_ROUND = 30;
/* ... or no longer than this, and not much less than the one before: then it is not the changes
 * that take the time. */
constexpr int LONG_ROUND = 1000;

Oid owner_of(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

bool is_in(const Stream& stream, const ShardTransfer& transfer)
{
	return stream.source.group_id == transfer.source.group_id &&
		   stream.target.group_id == transfer.target.group_id &&
		   stream.owner == owner_of(transfer.relid);
}

bool has_rows(const ShardTransfer& transfer)
{
	return get_rel_relkind(transfer.relid) != RELKIND_PARTITIONED_TABLE;
}

/* Calls visit(transfer) for each relation whose changes the stream carries. */
template <typename Visit>
void for_each_relation(const Replication& replication, const Stream& stream, Visit&& visit)
{
	for (const ShardTransfer& transfer : replication.transfers)
		if (has_rows(transfer) && is_in(stream, transfer))
			visit(transfer);
}

Stream make_stream(int64 operation, const ShardTransfer& transfer)
{
	Stream stream = {};
	stream.source = transfer.source;
	stream.target = transfer.target;
	stream.owner = owner_of(transfer.relid);
	const char *suffix =
		psprintf("%d_%u_" INT64_FORMAT, transfer.target.node_id, stream.owner, operation);
	stream.publication = psprintf("%s%s", ddl::OWN_PUBLICATION_PREFIX, suffix);
	stream.slot = psprintf("citus_shard_move_slot_%s", suffix);
	return stream;
}

void record_stream(int64 operation, const Stream& stream)
{
	const GroupId source = stream.source.group_id;
	const TemporaryObject objects[] = {
		{ObjectType::Publication, stream.publication, source, CleanupPolicy::Always},
		{ObjectType::ReplicationSlot, stream.slot, source, CleanupPolicy::Always}};
	record_objects(operation, objects);
}

remote::Session *open_session(const catalog::Node& node, bool replication)
{
	remote::Session *session = nullptr;
	as_extension_owner([&] {
		remote::Endpoint endpoint = txn::endpoint_of(node);
		endpoint.replication = replication;
		session = remote::connect(endpoint);
	});
	remote::set_claimed(session, true);
	remote::execute(session, "SET statement_timeout = 0; SET lock_timeout = 0; "
							 "SET idle_in_transaction_session_timeout = 0; "
							 "SET client_connection_check_interval = '10s'; "
							 "SET synchronous_commit = local");
	return session;
}

void check_wal_level(const Stream& stream)
{
	PGresult *result = remote::query(stream.source_session, "SHOW wal_level");
	if (strcmp(PQgetvalue(result, 0, 0), "logical") != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("logical replication is off on node %s:%d", stream.source.name,
							   stream.source.port),
						errhint("Set wal_level to logical there and restart it, or set "
								"shard_transfer_mode to 'block_writes'.")));
	remote::release(result);
}

/* A publication that is there when the slot begins, then the slot with its snapshot. */
void publish(const Replication& replication, Stream& stream)
{
	pg::Str sql;
	sql.raw("CREATE PUBLICATION ").ident(stream.publication);
	bool first = true;
	for_each_relation(replication, stream, [&](const ShardTransfer& transfer) {
		sql.raw(first ? " FOR TABLE ONLY " : ", ONLY ");
		sql.raw(source_name(transfer));
		first = false;
	});
	sql.raw(" WITH (publish = 'insert, update, delete')");
	stream.source_session = open_session(stream.source, false);
	check_wal_level(stream);
	remote::execute(stream.source_session, sql.c_str());
	stream.snapshot_session = open_session(stream.source, true);
	/* Waits for the transactions that are running there now. */
	PGresult *result = remote::query(
		stream.snapshot_session,
		psprintf("CREATE_REPLICATION_SLOT %s LOGICAL pgoutput (SNAPSHOT 'export')", stream.slot));
	const int column = PQfnumber(result, "snapshot_name");
	if (PQntuples(result) != 1 || column < 0)
		ereport(ERROR, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("node %s:%d exported no snapshot", stream.source.name,
							   stream.source.port)));
	stream.snapshot = pstrdup(PQgetvalue(result, 0, column));
	set_progress_slot(stream.source.group_id, stream.target.group_id, stream.slot);
	remote::release(result);
}

/* --- applying --------------------------------------------------------------------------------- */

/* "ARRAY[..]::type[]": what append(sql, transfer) writes of each transfer of the stream. */
template <typename Append>
void append_array(pg::Str& sql, const Replication& replication, const Stream& stream,
				  const char *type, Append&& append)
{
	bool first = true;
	sql.raw(", ARRAY[");
	for_each_relation(replication, stream, [&](const ShardTransfer& transfer) {
		sql.raw(first ? "" : ", ");
		append(sql, transfer);
		first = false;
	});
	sql.raw("]::pg_catalog.").raw(type).raw("[]");
}

char *apply_sql(const Replication& replication, const Stream& stream, const char *mark, bool last)
{
	pg::Str sql;
	sql.raw("SELECT citus_internal.apply_changes(").num(stream.source.node_id).raw(", ");
	sql.literal(stream.slot).raw(", ").literal(stream.publication).raw(", ");
	sql.literal(mark).raw(", ").boolean(last);
	append_array(sql, replication, stream, "text", [](pg::Str& out, const ShardTransfer& transfer) {
		out.literal(source_name(transfer));
	});
	append_array(sql, replication, stream, "text", [](pg::Str& out, const ShardTransfer& transfer) {
		out.literal(catalog::qualified_shard_name(transfer.relid, transfer.target_shard));
	});
	for (int32 shard::HashRange::*end : {&shard::HashRange::min, &shard::HashRange::max})
		for (shard::HashRange HashCut::*range : {&HashCut::range, &HashCut::whole})
			append_array(sql, replication, stream, "int4",
						 [&](pg::Str& out, const ShardTransfer& transfer) {
							 out.num(transfer.cut.*range.*end);
						 });
	for (const char *HashCut::*text : {&HashCut::column, &HashCut::function})
		append_array(sql, replication, stream, "text",
					 [&](pg::Str& out, const ShardTransfer& transfer) {
						 out.literal(transfer.cut.column != nullptr ? transfer.cut.*text : "");
					 });
	return sql.raw(last ? "); COMMIT" : ")").c_str();
}

/* What apply_changes() said of the transfers of the stream. */
void take_counts(const Replication& replication, const Stream& stream, const PGresult *result,
				 RowCount *counts)
{
	const char *next = PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : nullptr;
	for (size_t i = 0; i < replication.transfers.size(); i++)
		if (has_rows(replication.transfers[i]) && is_in(stream, replication.transfers[i]))
			next = read_counts(next, &counts[i].told_inserts, CHANGE_COUNTS);
}

/* Waits for the end of a round; the first result is apply_changes()'s. */
void end_round(const Replication& replication, const Stream& stream, RowCount *counts)
{
	if (counts != nullptr)
	{
		PGresult *result = remote::next_result(stream.target_session);
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
			remote::raise_remote_error(stream.target_session, result);
		take_counts(replication, stream, result, counts);
		PQclear(result);
	}
	remote::drain(stream.target_session);
}

/* One round: the targets take what is committed at the sources now, all at the same time. counts:
 * it is the last one; one for each transfer. */
void apply_round(Replication *replication, RowCount *counts)
{
	replication->marks++;
	for (const Stream& stream : replication->streams)
		remote::send_simple(stream.source_session,
							mark_sql(psprintf("%s %d", stream.slot, replication->marks)));
	for (const Stream& stream : replication->streams)
		remote::drain(stream.source_session);
	for (const Stream& stream : replication->streams)
		remote::send_simple(stream.target_session,
							apply_sql(*replication, stream,
									  psprintf("%s %d", stream.slot, replication->marks),
									  counts != nullptr));
	for (const Stream& stream : replication->streams)
		end_round(*replication, stream, counts);
}

/* Slots of operations that have ended: there are only so many. */
void clear_ended()
{
	if (pg::sql_text(psprintf("SELECT 1 FROM pg_dist_cleanup WHERE object_type <> %d LIMIT 1",
							  static_cast<int>(ObjectType::Placement))) != nullptr)
		run_as_owner_on_node(local_node(), "SELECT citus_internal.clean_up(0, true)");
}

} // namespace

Replication *plan_replication(int64 operation, Transfers transfers)
{
	/* The slot waits for those who write now, and one of them may come to wait for our locks. */
	txn::give_way_first();
	clear_ended();
	auto *replication = static_cast<Replication *>(palloc0(sizeof(Replication)));
	*replication = {operation, transfers, pg::Vec<Stream>(), pg::Vec<const char *>(), 0};
	for (const ShardTransfer& transfer : transfers)
	{
		bool known = !has_rows(transfer);
		for (const Stream& stream : replication->streams)
			known = known || is_in(stream, transfer);
		if (!known)
			replication->streams.push(make_stream(operation, transfer));
	}
	for (const Stream& stream : replication->streams)
		record_stream(operation, stream);
	return replication;
}

void start_publishing(Replication *replication)
{
	for (Stream& stream : replication->streams)
		publish(*replication, stream);
	for (const ShardTransfer& transfer : replication->transfers)
	{
		const char *snapshot = nullptr;
		for (const Stream& stream : replication->streams)
			if (is_in(stream, transfer))
				snapshot = stream.snapshot;
		replication->snapshots.push(snapshot);
	}
}

std::span<const char *const> snapshots(const Replication *replication)
{
	return replication->snapshots.span();
}

void end_snapshots(Replication *replication)
{
	for (Stream& stream : replication->streams)
	{
		if (stream.snapshot_session != nullptr)
			remote::close(stream.snapshot_session);
		stream.snapshot_session = nullptr;
	}
}

void start_applying(Replication *replication)
{
	for (Stream& stream : replication->streams)
	{
		stream.target_session = open_session(stream.target, false);
		remote::execute(stream.target_session, "BEGIN");
	}
}

void catch_up(Replication *replication)
{
	long before = 0;
	for (;;)
	{
		const TimestampTz start = GetCurrentTimestamp();
		apply_round(replication, nullptr);
		const long took = TimestampDifferenceMilliseconds(start, GetCurrentTimestamp());
		if (took <= SHORT_ROUND || (took <= LONG_ROUND && before > 0 && took > before / 2))
			return;
		before = took;
	}
}

void finish_replication(Replication *replication, RowCount *counts)
{
	apply_round(replication, counts);
}

void close_replication(Replication *replication)
{
	end_snapshots(replication);
	for (Stream& stream : replication->streams)
		for (remote::Session **session : {&stream.source_session, &stream.target_session})
		{
			if (*session != nullptr)
				remote::close(*session);
			*session = nullptr;
		}
}

} // namespace civitas::cluster
