/*
 * pull_table.cpp: fills a new placement with rows of another node.
 *
 * The node that gets the placement takes the rows from one that has them (executor/pull_rows.h). A
 * replica of a reference table first waits at its source until no writer is left (also none that is
 * prepared); the coordinator holds the lock that keeps new writers away. A shard that moves is read
 * under the snapshot that its logical replication begins with, or while writes are blocked.
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

void pull_replica(Oid relid, ShardId shard_id, const catalog::Node& source)
{
	const char *shard = catalog::qualified_shard_name(relid, shard_id);
	const Oid local = get_relname_relid(catalog::shard_relation_name(get_rel_name(relid), shard_id),
										get_rel_namespace(relid));
	/* Only writers from before the coordinator's lock are left. One that never ends is the very
	 * transaction that adds the node: better an error than a wait for ourselves. */
	pull(local, source,
		 psprintf("BEGIN; SET LOCAL lock_timeout = '30s'; LOCK TABLE %s IN SHARE MODE", shard),
		 shard, nullptr);
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

PG_FUNCTION_INFO_V1(citus_internal_pull_reference_table);
PGDLLEXPORT Datum citus_internal_pull_reference_table(PG_FUNCTION_ARGS)
{
	const catalog::Table& table = catalog::get_table(PG_GETARG_OID(0));
	const catalog::Node source = get_node(PG_GETARG_INT32(1));
	const Oid relid = table.relid;
	for (int index = 0; index < table.shard_count; index++)
		pull_replica(relid, table.shards[index].shard_id, source);
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
	pull(local, get_node(PG_GETARG_INT32(1)), prelude.c_str(),
		 text_to_cstring(PG_GETARG_TEXT_PP(2)),
		 PG_ARGISNULL(3) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(3)));
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
