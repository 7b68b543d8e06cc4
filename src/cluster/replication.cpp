/*
 * replication.cpp: logical replication from sources to targets.
 *
 *   publication at the source -> slot (pgoutput), which exports the snapshot that it begins after
 *   -> [rows are copied under that snapshot] -> subscription at the target, without initial copy
 *   -> catch up: the slot's confirmed position reaches where the source's log was
 *   -> [writes blocked] -> the same once more, to the very end
 *
 * Changes are applied with the rights of the tables' owner, for indexes and CHECK constraints run
 * code of the owner's choice: where that is no superuser, and the server applies as the
 * subscription's owner, the subscription belongs to a role of its own, a member of the owner.
 *
 * Each stream has two sessions: one that holds the snapshot and is closed after the copy, one to
 * ask the source for its positions. Names are those that other tools look for; they carry the
 * operation, so that no two are equal.
 */
#include "replication.h"

#include "civitas/cluster/cluster.h"
#include "civitas/pg/compat.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/transport.h"
#include "civitas/txn/transaction.h"
#include "cleanup.h"
#include "progress.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "commands/subscriptioncmds.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* One publication, slot and subscription. */
struct Stream
{
	catalog::Node source;
	catalog::Node target;
	Oid owner; /* of the tables */
	const char *publication;
	const char *slot;
	const char *subscription;
	const char *role; /* null: the subscription is its maker's */
	const char *snapshot;
	remote::Session *snapshot_session;
	remote::Session *source_session;
};
CIVITAS_SERVER_STATE(Stream);

} // namespace

struct Replication
{
	int64 operation;
	Transfers transfers;
	pg::Vec<Stream> streams;
	pg::Vec<const char *> snapshots;
	bool routed; /* shards are split: apply_changes() in place of subscriptions */
};

namespace {

/* Time in which an apply worker must have begun, ms. */
constexpr int START_TIMEOUT = 60000;
/* Between two looks at positions, ms: while writes are blocked, and else. */
constexpr int QUICK_LOOK = 2;
constexpr int SLOW_LOOK = 100;
/* Catching up ends when a round takes no longer than this, ms. */
constexpr int SHORT_ROUND = 1000;

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
	stream.publication = psprintf("citus_shard_move_publication_%s", suffix);
	stream.slot = psprintf("citus_shard_move_slot_%s", suffix);
	stream.subscription = psprintf("citus_shard_move_subscription_%s", suffix);
	if (pg::APPLY_RUNS_AS_SUBSCRIPTION_OWNER && !superuser_arg(stream.owner))
		stream.role = psprintf("citus_shard_move_subscription_role_%s_%u", suffix, MyDatabaseId);
	return stream;
}

void record_stream(int64 operation, const Stream& stream)
{
	const GroupId source = stream.source.group_id;
	const GroupId target = stream.target.group_id;
	constexpr CleanupPolicy always = CleanupPolicy::Always;
	const TemporaryObject objects[] = {
		{ObjectType::Publication, stream.publication, source, always},
		{ObjectType::ReplicationSlot, stream.slot, source, always},
		{ObjectType::Subscription, stream.subscription, target, always},
		{ObjectType::Role, stream.role, target, always}};
	record_objects(operation, {objects, stream.role != nullptr ? size_t{4} : size_t{3}});
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
		sql.raw(catalog::qualified_shard_name(transfer.relid, transfer.source_shard));
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

bool all_binary(const Replication& replication, const Stream& stream)
{
	bool binary = true;
	for_each_relation(replication, stream, [&](const ShardTransfer& transfer) {
		Relation relation = table_open(transfer.relid, NoLock);
		TupleDesc descriptor = RelationGetDescr(relation);
		for (int i = 0; i < descriptor->natts; i++)
			if (!TupleDescAttr(descriptor, i)->attisdropped)
				binary = binary && pg::binary_travels(TupleDescAttr(descriptor, i)->atttypid);
		table_close(relation, NoLock);
	});
	return binary;
}

void start_subscription(const Replication& replication, const Stream& stream)
{
	pg::Str sql;
	/* Only a background worker must be able to begin a session as the role. */
	if (stream.role != nullptr)
		sql.raw("CREATE ROLE ")
			.ident(stream.role)
			.raw(" SUPERUSER LOGIN CONNECTION LIMIT 0 IN ROLE ")
			.ident(GetUserNameFromId(stream.owner, false))
			.raw("; ");
	sql.raw("SELECT citus_internal.create_subscription(").literal(stream.subscription).raw(", ");
	sql.num(stream.source.node_id).raw(", ").literal(stream.slot).raw(", ");
	sql.literal(stream.publication).raw(", ").boolean(all_binary(replication, stream)).raw("); ");
	if (stream.role != nullptr)
	{
		/* The owner of a subscription must be a superuser when it becomes so. */
		sql.raw("ALTER SUBSCRIPTION ").ident(stream.subscription).raw(" OWNER TO ");
		sql.ident(stream.role).raw("; ALTER ROLE ").ident(stream.role).raw(" NOSUPERUSER; ");
	}
	sql.raw("ALTER SUBSCRIPTION ").ident(stream.subscription).raw(" ENABLE");
	run_as_owner_on_node(stream.target, sql.c_str());
}

/* --- positions ---------------------------------------------------------------------------------
 */

/* The end of the source's log, on disk: everything that was committed before is in front of it. */
char *end_of_log(const Stream& stream)
{
	PGresult *result = remote::query(
		stream.source_session, "SELECT pg_catalog.pg_logical_emit_message(true, 'citus', '')");
	char *position = pstrdup(PQgetvalue(result, 0, 0));
	remote::release(result);
	return position;
}

/* Whether the target has everything up to a position, on disk. */
bool has_confirmed(const Stream& stream, const char *position, bool *active)
{
	pg::Str sql;
	sql.raw("SELECT confirmed_flush_lsn >= ").literal(position);
	sql.raw("::pg_catalog.pg_lsn, active FROM pg_catalog.pg_replication_slots WHERE slot_name = ");
	PGresult *result = remote::query(stream.source_session, sql.literal(stream.slot).c_str());
	if (PQntuples(result) != 1)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("replication slot %s on node %s:%d is gone", stream.slot,
							   stream.source.name, stream.source.port)));
	const bool confirmed = *PQgetvalue(result, 0, 0) == 't';
	*active = *PQgetvalue(result, 0, 1) == 't';
	remote::release(result);
	return confirmed;
}

/* An apply worker that fails starts again and again: say so instead of waiting for it. */
void check_apply_errors(const Stream& stream)
{
	pg::Str sql;
	sql.raw("SELECT coalesce(sum(apply_error_count), 0) FROM "
			"pg_catalog.pg_stat_subscription_stats WHERE subname = ");
	const char *errors =
		run_as_owner_on_node(stream.target, sql.literal(stream.subscription).c_str());
	if (strcmp(errors, "0") != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("changes of the shard could not be applied on node %s:%d",
							   stream.target.name, stream.target.port),
						errdetail("The log of that node tells why, at subscription %s.",
								  stream.subscription)));
}

[[noreturn]] void raise_not_started(const Stream& stream)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
					errmsg("no worker applies the changes of the shard on node %s:%d",
						   stream.target.name, stream.target.port),
					errhint("See its log; max_logical_replication_workers, max_worker_processes "
							"or, on %s:%d, max_wal_senders may be too low.",
							stream.source.name, stream.source.port)));
}

void wait_for(const Stream& stream, const char *position, int look)
{
	TimestampTz last_active = GetCurrentTimestamp();
	for (int round = 1;; round++)
	{
		bool active;
		if (has_confirmed(stream, position, &active))
			return;
		if (active)
			last_active = GetCurrentTimestamp();
		else if (TimestampDifferenceExceeds(last_active, GetCurrentTimestamp(), START_TIMEOUT))
			raise_not_started(stream);
		if (round % (2000 / look) == 0)
			check_apply_errors(stream);
		WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, look,
				  PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

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

char *apply_sql(const Replication& replication, const Stream& stream, const char *position)
{
	pg::Str sql;
	sql.raw("SELECT citus_internal.apply_changes(").num(stream.source.node_id).raw(", ");
	sql.literal(stream.slot).raw(", ").literal(stream.publication).raw(", ").literal(position);
	append_array(sql, replication, stream, "text", [](pg::Str& out, const ShardTransfer& transfer) {
		out.literal(catalog::qualified_shard_name(transfer.relid, transfer.source_shard));
	});
	append_array(sql, replication, stream, "text", [](pg::Str& out, const ShardTransfer& transfer) {
		out.literal(catalog::qualified_shard_name(transfer.relid, transfer.target_shard));
	});
	append_array(sql, replication, stream, "int4",
				 [](pg::Str& out, const ShardTransfer& transfer) { out.num(transfer.min_hash); });
	append_array(sql, replication, stream, "int4",
				 [](pg::Str& out, const ShardTransfer& transfer) { out.num(transfer.max_hash); });
	append_array(sql, replication, stream, "text", [](pg::Str& out, const ShardTransfer& transfer) {
		out.literal(catalog::distribution_column_name(catalog::get_table(transfer.relid)));
	});
	return sql.ch(')').c_str();
}

/* The targets of a split take what they lack themselves. */
void apply_up_to(const Replication& replication, const pg::Vec<const char *>& positions)
{
	pg::Vec<OwnerCommand> commands;
	for (int i = 0; i < replication.streams.size(); i++)
	{
		const Stream& stream = replication.streams[i];
		commands.push({stream.target, apply_sql(replication, stream, positions[i]), nullptr});
	}
	run_as_owner_on_nodes({commands.data(), static_cast<size_t>(commands.size())});
}

void wait_for_all(const Replication& replication, int look)
{
	pg::Vec<const char *> positions;
	for (const Stream& stream : replication.streams)
		positions.push(end_of_log(stream));
	if (replication.routed)
	{
		apply_up_to(replication, positions);
		return;
	}
	for (int i = 0; i < replication.streams.size(); i++)
		wait_for(replication.streams[i], positions[i], look);
}

/* Subscriptions of moves that have ended keep workers that the next one may need. */
void clear_ended()
{
	if (pg::sql_text(psprintf("SELECT 1 FROM pg_dist_cleanup WHERE object_type <> %d LIMIT 1",
							  static_cast<int>(ObjectType::Placement))) != nullptr)
		run_as_owner_on_node(local_node(), "SELECT citus_internal.clean_up(0, true)");
}

} // namespace

Replication *plan_replication(int64 operation, Transfers transfers)
{
	clear_ended();
	auto *replication = static_cast<Replication *>(palloc0(sizeof(Replication)));
	*replication = {operation, transfers, pg::Vec<Stream>(), pg::Vec<const char *>(), false};
	for (const ShardTransfer& transfer : transfers)
	{
		replication->routed = replication->routed || transfer.source_shard != transfer.target_shard;
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

void subscribe(Replication *replication)
{
	if (replication->routed)
		return;
	for (const Stream& stream : replication->streams)
		start_subscription(*replication, stream);
}

void catch_up(Replication *replication)
{
	for (;;)
	{
		const TimestampTz start = GetCurrentTimestamp();
		wait_for_all(*replication, SLOW_LOOK);
		if (!TimestampDifferenceExceeds(start, GetCurrentTimestamp(), SHORT_ROUND))
			return;
	}
}

void finish_replication(Replication *replication)
{
	wait_for_all(*replication, QUICK_LOOK);
}

void close_replication(Replication *replication)
{
	end_snapshots(replication);
	for (Stream& stream : replication->streams)
	{
		if (stream.source_session != nullptr)
			remote::close(stream.source_session);
		stream.source_session = nullptr;
	}
}

CIVITAS_PG_BEGIN

/*
 * create_subscription(name, source node, slot, publication, binary): not enabled, without initial
 * copy. Here and not in SQL text, because the connection string may hold a password.
 */
PG_FUNCTION_INFO_V1(citus_internal_create_subscription);
PGDLLEXPORT Datum citus_internal_create_subscription(PG_FUNCTION_ARGS)
{
	const catalog::Node *source = catalog::find_node(PG_GETARG_INT32(1));
	if (source == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("node %d does not exist", PG_GETARG_INT32(1))));
	auto *statement = makeNode(CreateSubscriptionStmt);
	statement->subname = text_to_cstring(PG_GETARG_TEXT_PP(0));
	statement->conninfo = remote::connection_string(txn::endpoint_of(*source));
	statement->publication = list_make1(makeString(text_to_cstring(PG_GETARG_TEXT_PP(3))));
	const auto option = [&](const char *name, void *value) {
		statement->options =
			lappend(statement->options, makeDefElem(pstrdup(name), static_cast<Node *>(value), -1));
	};
	option("create_slot", makeBoolean(false));
	option("slot_name", makeString(text_to_cstring(PG_GETARG_TEXT_PP(2))));
	option("copy_data", makeBoolean(false));
	option("enabled", makeBoolean(false));
	option("binary", makeBoolean(PG_GETARG_BOOL(4)));
	/* So that what is applied is on disk, and confirmed, at once. */
	option("synchronous_commit", makeString(pstrdup("local")));
	ParseState *state = make_parsestate(nullptr);
	CreateSubscription(state, statement, false);
	free_parsestate(state);
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
