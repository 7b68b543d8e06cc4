/*
 * pull_table.cpp: fills a new replica of a reference table from another node.
 *
 * The node that gets the replica connects to one that has it, waits there until no writer is left
 * (also none that is prepared), and feeds that node's COPY into its own. The coordinator holds the
 * lock that keeps new writers away. Triggers and foreign keys are not run: the rows were checked
 * when they were first written.
 */
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/str.h"
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

char *copy_out_sql(const char *shard, List *columns)
{
	pg::Str sql;
	sql.raw("COPY ").raw(shard).raw(" (");
	ListCell *cell;
	foreach (cell, columns)
		sql.raw(cell == list_head(columns) ? "" : ", ").ident(strVal(lfirst(cell)));
	return sql.raw(") TO STDOUT").c_str();
}

/* Feeds the rows of the open stream into the relation. */
void copy_in(Relation relation, List *columns)
{
	ParseState *state = make_parsestate(nullptr);
	ParseNamespaceItem *item =
		addRangeTableEntryForRelation(state, relation, RowExclusiveLock, nullptr, false, false);
	addNSItemToQuery(state, item, true, true, true);
	CopyFromState copy =
		BeginCopyFrom(state, relation, nullptr, nullptr, false, read_stream, columns, NIL);
	CopyFrom(copy);
	EndCopyFrom(copy);
}

/* From the open session into the relation. */
pg_noinline void transfer(Relation relation, const char *shard)
{
	List *columns = copied_columns(RelationGetDescr(relation));
	/* Only writers from before the coordinator's lock are left. One that never ends is the very
	 * transaction that adds the node: better an error than a wait for ourselves. */
	remote::execute(
		stream.session,
		psprintf("BEGIN; SET LOCAL lock_timeout = '30s'; LOCK TABLE %s IN SHARE MODE", shard));
	remote::send_simple(stream.session, copy_out_sql(shard, columns));
	PGresult *start = remote::next_result(stream.session);
	if (PQresultStatus(start) != PGRES_COPY_OUT)
		remote::raise_remote_error(stream.session, start);
	PQclear(start);
	copy_in(relation, columns);
	remote::drain(stream.session);
}

void pull(Oid relid, ShardId shard_id, const catalog::Node& source)
{
	const char *shard = catalog::qualified_shard_name(relid, shard_id);
	const Oid local = get_relname_relid(catalog::shard_relation_name(get_rel_name(relid), shard_id),
										get_rel_namespace(relid));
	Relation relation = table_open(local, RowExclusiveLock);

	stream.session = remote::connect(txn::endpoint_of(source));
	initStringInfo(&stream.pending);
	stream.read = 0;
	stream.ended = false;
	remote::set_claimed(stream.session, true);
	PG_TRY();
	{
		transfer(relation, shard);
	}
	PG_FINALLY();
	{
		remote::close(stream.session);
		stream.session = nullptr;
	}
	PG_END_TRY();
	table_close(relation, NoLock);
}

} // namespace

CIVITAS_PG_BEGIN

PG_FUNCTION_INFO_V1(citus_internal_pull_reference_table);
PGDLLEXPORT Datum citus_internal_pull_reference_table(PG_FUNCTION_ARGS)
{
	const catalog::Table& table = catalog::get_table(PG_GETARG_OID(0));
	const catalog::Node *source = catalog::find_node(PG_GETARG_INT32(1));
	if (source == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("node %d does not exist", PG_GETARG_INT32(1))));
	const Oid relid = table.relid;
	const int nest_level = NewGUCNestLevel();
	set_config_option("session_replication_role", "replica", PGC_SUSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	for (int index = 0; index < table.shard_count; index++)
		pull(relid, table.shards[index].shard_id, *source);
	AtEOXact_GUC(true, nest_level);
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
