/*
 * pull_rows.cpp: another node's COPY feeds one of this node.
 *
 * Triggers and foreign keys are not run: the rows were checked when they were first written. They
 * are written as the table's owner, for CHECK constraints and generated columns run code of the
 * owner's choice.
 */
#include "civitas/executor/pull_rows.h"

#include "civitas/pg/columns.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "access/table.h"
#include "commands/copy.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "utils/guc.h"
#include "utils/rel.h"
CIVITAS_PG_END

namespace civitas::executor {

namespace {

/* The stream that is being read; one at a time in a backend. */
struct Source
{
	remote::Session *session = nullptr;
	StringInfoData pending; /* received, not consumed yet: from `read` on */
	int read = 0;
	bool ended = false;
};
constinit Source stream = {};

/* COPY FROM's source: at least min_read bytes unless the stream ends. */
int read_stream(void *out, int min_read, int max_read)
{
	int filled = 0;
	while (filled < max_read && (filled < min_read || filled == 0))
	{
		if (stream.read == stream.pending.len)
		{
			stream.read = 0;
			if (stream.ended || !remote::receive_copy_data(stream.session, &stream.pending))
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

char *copy_out_sql(const char *table, const char *filter, List *columns, bool binary)
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

/* Feeds the rows of the open stream into the relation; how many were written. */
int64 copy_in(Relation relation, List *columns, bool binary)
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
	const uint64 written = CopyFrom(copy);
	EndCopyFrom(copy);
	return static_cast<int64>(written);
}

/* What the source says at the end of its COPY. */
int64 sent_rows(remote::Session *session)
{
	PGresult *result = remote::next_result(session);
	if (PQresultStatus(result) != PGRES_COMMAND_OK)
		remote::raise_remote_error(session, result);
	const int64 rows = strtoll(PQcmdTuples(result), nullptr, 10);
	PQclear(result);
	remote::drain(session);
	return rows;
}

} // namespace

const char *const PULL_SETTINGS =
	"SET row_security = off; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; "
	"SET extra_float_digits = 3";

void require_plain_table(remote::Session *session, const char *table)
{
	pg::Str sql;
	sql.raw("SELECT 1 FROM pg_catalog.pg_class WHERE relkind = 'r' AND oid = ").literal(table);
	PGresult *result = remote::query(session, sql.raw("::pg_catalog.regclass").c_str());
	if (PQntuples(result) != 1)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("%s is not a plain table on node %s:%d", table,
							   remote::host(session), remote::port(session))));
	remote::release(result);
}

PulledRows pull_rows(Oid local, remote::Session *session, const char *table, const char *filter)
{
	Relation relation = table_open(local, RowExclusiveLock);
	List *columns = pg::stored_columns(RelationGetDescr(relation));
	const bool binary = pg::stored_columns_travel_in_binary(RelationGetDescr(relation));
	remote::send_simple(session, copy_out_sql(table, filter, columns, binary));
	PGresult *start = remote::next_result(session);
	if (PQresultStatus(start) != PGRES_COPY_OUT)
		remote::raise_remote_error(session, start);
	PQclear(start);
	stream.session = session;
	initStringInfo(&stream.pending);
	stream.read = 0;
	stream.ended = false;

	const int level = NewGUCNestLevel();
	set_config_option("session_replication_role", "replica", PGC_SUSET, PGC_S_SESSION,
					  GUC_ACTION_SAVE, true, 0, false);
	Oid user;
	int context;
	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(relation->rd_rel->relowner, context | SECURITY_RESTRICTED_OPERATION);
	const int64 written = copy_in(relation, columns, binary);
	SetUserIdAndSecContext(user, context);
	AtEOXact_GUC(true, level);
	const int64 sent = sent_rows(session);
	table_close(relation, NoLock);
	return {sent, written};
}

} // namespace civitas::executor
