/*
 * pull_table.cpp: fills a new placement with rows of another node.
 *
 * The node that gets the placement takes the rows from one that has them (executor/pull_rows.h),
 * under the snapshot that logical replication begins with, or while writes are blocked.
 */
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/executor/pull_rows.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* How many rows the condition was asked about. */
constexpr const char *TESTED_ROWS = "SELECT citus_internal.tested_rows()";

int64 ask_number(remote::Session *session, const char *sql)
{
	PGresult *result = remote::query(session, sql);
	const int64 number = strtoll(PQgetvalue(result, 0, 0), nullptr, 10);
	remote::release(result);
	return number;
}

/* prelude: what the source does first. */
executor::PulledRows pull_table(Oid local, const catalog::Node& source, const char *prelude,
								const char *table, const char *filter, int64 *looked_at)
{
	executor::PulledRows rows = {};
	remote::Session *session = remote::connect(txn::endpoint_of(source));
	remote::set_claimed(session, true);
	PG_TRY();
	{
		remote::execute(session, executor::PULL_SETTINGS);
		remote::execute(session, prelude);
		remote::execute(session, psprintf("LOCK TABLE ONLY %s IN ACCESS SHARE MODE", table));
		executor::require_plain_table(session, table);
		rows = executor::pull_rows(local, session, table, filter);
		*looked_at = filter == nullptr ? rows.sent : ask_number(session, TESTED_ROWS);
	}
	PG_FINALLY();
	{
		remote::close(session);
	}
	PG_END_TRY();
	return rows;
}

const catalog::Node& get_node(NodeId id)
{
	const catalog::Node *node = catalog::find_node(id);
	if (node == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("node %d does not exist", id)));
	return *node;
}

} // namespace

CIVITAS_PG_BEGIN

/* pull_shard(table here, source node, table there, condition, snapshot there): how many rows the
 * source has looked at and sent, and how many were written here. */
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
	int64 looked_at = 0;
	const executor::PulledRows rows = pull_table(
		local, get_node(PG_GETARG_INT32(1)), prelude.c_str(), text_to_cstring(PG_GETARG_TEXT_PP(2)),
		PG_ARGISNULL(3) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(3)), &looked_at);
	Datum counts[] = {Int64GetDatum(looked_at), Int64GetDatum(rows.sent),
					  Int64GetDatum(rows.written)};
	PG_RETURN_ARRAYTYPE_P(
		construct_array(counts, 3, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

CIVITAS_PG_END

} // namespace civitas::cluster
