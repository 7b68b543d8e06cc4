/*
 * pull_table.cpp: fills a new placement with rows of another node.
 *
 * The node that gets the placement connects to one that has the rows and feeds that node's COPY
 * into its own. Triggers and foreign keys are not run: the rows were checked when they were first
 * written. A replica of a reference table first waits at its source until no writer is left (also
 * none that is prepared); the coordinator holds the lock that keeps new writers away. A shard that
 * moves is read under the snapshot that its logical replication begins with, or while writes are
 * blocked. The rows are written as the table's owner, for CHECK constraints and generated columns
 * run code of the owner's choice.
 */
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/str.h"
#include "civitas/pg/transport.h"
#include "civitas/remote/session.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/copy.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* The stream that is being read; one at a time in a backend. */
struct Stream
{
	remote::Session *session = nullptr;
	StringInfoData pending; /* received, not consumed yet: from `read` on */
	int read = 0;
	bool ended = false;
};
constinit Stream stream = {};

/* Next piece of COPY data into stream.pending; waits. False at the end. */
bool receive_piece()
{
	PGconn *connection = remote::connection(stream.session);
	for (;;)
	{
		char *buffer = nullptr;
		const int length = PQgetCopyData(connection, &buffer, 1);
		if (length > 0)
		{
			/* Nothing between here and the free may raise but the append: make room first would not
			 * help either, so the buffer is at risk only when memory is out. */
			resetStringInfo(&stream.pending);
			stream.read = 0;
			appendBinaryStringInfo(&stream.pending, buffer, length);
			PQfreemem(buffer);
			return true;
		}
		if (length == -1)
			return false;
		if (length == -2)
			remote::raise_connection_lost(stream.session);
		WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH,
						  PQsocket(connection), -1, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (!remote::consume_input(stream.session))
			remote::raise_connection_lost(stream.session);
	}
}

/* COPY FROM's source: at least min_read bytes unless the stream ends. */
int read_stream(void *out, int min_read, int max_read)
{
	int filled = 0;
	while (filled < max_read && (filled < min_read || filled == 0))
	{
		if (stream.read == stream.pending.len)
		{
			if (stream.ended || !receive_piece())
			{
				stream.ended = true;
				break;
			}
		}
		const int available = stream.pending.len - stream.read;
		const int take = available < max_read - filled ? available : max_read - filled;
		memcpy(static_cast<char *>(out) + filled, stream.pending.data + stream.read, take);
		stream.read += take;
		filled += take;
	}
	return filled;
}

/* Columns that COPY can fill, as String nodes. */
List *copied_columns(TupleDesc descriptor)
{
	List *columns = NIL;
	for (int i = 0; i < descriptor->natts; i++)
	{
		const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
		if (!attribute->attisdropped && attribute->attgenerated == '\0')
			columns = lappend(columns, makeString(pstrdup(NameStr(attribute->attname))));
	}
	return columns;
}

/* Whether all of them can travel in binary form. */
bool binary_travels(TupleDesc descriptor)
{
	for (int i = 0; i < descriptor->natts; i++)
	{
		const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, i);
		if (!attribute->attisdropped && attribute->attgenerated == '\0' &&
			!pg::binary_travels(attribute->atttypid))
			return false;
	}
	return true;
}

char *copy_out_sql(const char *table, List *columns, const char *filter, bool binary)
{
	pg::Str names;
	ListCell *cell;
	foreach (cell, columns)
		names.raw(cell == list_head(columns) ? "" : ", ").ident(strVal(lfirst(cell)));
	pg::Str sql;
	if (filter == nullptr)
		sql.raw("COPY ").raw(table).raw(" (").raw(names.c_str()).raw(") TO STDOUT");
	else
		sql.raw("COPY (SELECT ")
			.raw(names.c_str())
			.raw(" FROM ONLY ")
			.raw(table)
			.raw(" WHERE ")
			.raw(filter)
			.raw(") TO STDOUT");
	return sql.raw(binary ? " WITH (FORMAT binary)" : "").c_str();
}

/* Feeds the rows of the open stream into the relation. */
void copy_in(Relation relation, List *columns, bool binary)
{
	List *options =
		binary
			? list_make1(makeDefElem(pstrdup("format"),
									 reinterpret_cast<Node *>(makeString(pstrdup("binary"))), -1))
			: NIL;
	ParseState *state = make_parsestate(nullptr);
	ParseNamespaceItem *item =
		addRangeTableEntryForRelation(state, relation, RowExclusiveLock, nullptr, false, false);
	addNSItemToQuery(state, item, true, true, true);
	CopyFromState copy =
		BeginCopyFrom(state, relation, nullptr, nullptr, false, read_stream, columns, options);
	CopyFrom(copy);
	EndCopyFrom(copy);
}

/* What is pulled. */
struct Pull
{
	const char *prelude; /* what the source does first */
	const char *table;	 /* qualified name at the source */
	const char *filter;	 /* SQL condition; null: all rows */
};

/* From the open session into the relation, as its owner. */
pg_noinline void transfer(Relation relation, const Pull& pull)
{
	List *columns = copied_columns(RelationGetDescr(relation));
	const bool binary = binary_travels(RelationGetDescr(relation));
	remote::execute(stream.session, pull.prelude);
	remote::send_simple(stream.session, copy_out_sql(pull.table, columns, pull.filter, binary));
	PGresult *start = remote::next_result(stream.session);
	if (PQresultStatus(start) != PGRES_COPY_OUT)
		remote::raise_remote_error(stream.session, start);
	PQclear(start);
	Oid user;
	int context;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(relation->rd_rel->relowner, context | SECURITY_RESTRICTED_OPERATION);
	copy_in(relation, columns, binary);
	SetUserIdAndSecContext(user, context);
	remote::drain(stream.session);
}

void pull_into(Oid local, const catalog::Node& source, const Pull& pull)
{
	Relation relation = table_open(local, RowExclusiveLock);
	stream.session = remote::connect(txn::endpoint_of(source));
	initStringInfo(&stream.pending);
	stream.read = 0;
	stream.ended = false;
	remote::set_claimed(stream.session, true);
	PG_TRY();
	{
		transfer(relation, pull);
	}
	PG_FINALLY();
	{
		remote::close(stream.session);
		stream.session = nullptr;
	}
	PG_END_TRY();
	table_close(relation, NoLock);
}

void pull_replica(Oid relid, ShardId shard_id, const catalog::Node& source)
{
	const char *shard = catalog::qualified_shard_name(relid, shard_id);
	const Oid local = get_relname_relid(catalog::shard_relation_name(get_rel_name(relid), shard_id),
										get_rel_namespace(relid));
	/* Only writers from before the coordinator's lock are left. One that never ends is the very
	 * transaction that adds the node: better an error than a wait for ourselves. */
	const Pull pull = {
		psprintf("BEGIN; SET LOCAL lock_timeout = '30s'; LOCK TABLE %s IN SHARE MODE", shard),
		shard, nullptr};
	pull_into(local, source, pull);
}

const catalog::Node& get_node(NodeId id)
{
	const catalog::Node *node = catalog::find_node(id);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("node %d does not exist", id)));
	return *node;
}

/* Until AtEOXact_GUC(true, result): rows are written without triggers and foreign keys. */
int begin_replica_role()
{
	const int nest_level = NewGUCNestLevel();
	set_config_option("session_replication_role", "replica", PGC_SUSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_pull_reference_table);
PGDLLEXPORT Datum citus_internal_pull_reference_table(PG_FUNCTION_ARGS)
{
	const catalog::Table& table = catalog::get_table(PG_GETARG_OID(0));
	const catalog::Node source = get_node(PG_GETARG_INT32(1));
	const Oid relid = table.relid;
	const int nest_level = begin_replica_role();
	for (int index = 0; index < table.shard_count; index++)
		pull_replica(relid, table.shards[index].shard_id, source);
	AtEOXact_GUC(true, nest_level);
	PG_RETURN_VOID();
}

/* pull_shard(table here, source node, table there, condition, snapshot there) */
PG_FUNCTION_INFO_V1(citus_internal_pull_shard);
PGDLLEXPORT Datum citus_internal_pull_shard(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("tables and node must not be null")));
	const Oid local = RangeVarGetRelid(
		makeRangeVarFromNameList(textToQualifiedNameList(PG_GETARG_TEXT_PP(0))), NoLock, false);
	pg::Str prelude;
	prelude.raw("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	if (!PG_ARGISNULL(4))
		prelude.raw("; SET TRANSACTION SNAPSHOT ").literal(text_to_cstring(PG_GETARG_TEXT_PP(4)));
	const Pull pull = {prelude.c_str(), text_to_cstring(PG_GETARG_TEXT_PP(2)),
					   PG_ARGISNULL(3) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(3))};
	const int nest_level = begin_replica_role();
	pull_into(local, get_node(PG_GETARG_INT32(1)), pull);
	AtEOXact_GUC(true, nest_level);
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
