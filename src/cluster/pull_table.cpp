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
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* prelude: what the source does first. */
void pull(Oid local, const catalog::Node& source, const char *prelude, const char *table,
		  const char *filter)
{
	remote::Session *session = remote::connect(txn::endpoint_of(source));
	remote::set_claimed(session, true);
	PG_TRY();
	{
		remote::execute(session, executor::PULL_SETTINGS);
		remote::execute(session, prelude);
		executor::pull_rows(local, session, table, filter);
	}
	PG_FINALLY();
	{
		remote::close(session);
	}
	PG_END_TRY();
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
	pull(local, get_node(PG_GETARG_INT32(1)), prelude.c_str(),
		 text_to_cstring(PG_GETARG_TEXT_PP(2)),
		 PG_ARGISNULL(3) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(3)));
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
