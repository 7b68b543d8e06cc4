/*
 * secret.cpp: the cluster's secret on its way to other nodes; see txn/node_proof.cpp.
 */
#include "secret.h"
#include "civitas/catalog/cluster_secret.h"
#include "civitas/catalog/nodes.h"
#include "civitas/cluster/cluster.h"
#include "civitas/pg/debug_point.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "civitas/remote/node_token.h"
#include "civitas/txn/transaction.h"
#include "node_changes.h"

CIVITAS_PG_BEGIN
#include "utils/builtins.h"
CIVITAS_PG_END

namespace civitas::cluster {

namespace {

/* The text of a bytea value. */
char *hex_text(const uint8 *bytes, int count)
{
	char *text = static_cast<char *>(palloc(2 * count + 3));
	strcpy(text, "\\x");
	const uint64 length = hex_encode(reinterpret_cast<const char *>(bytes), count, text + 2);
	text[2 + length] = '\0';
	return text;
}

char *wrap(const Secret& key, const Secret& secret)
{
	uint8 wrapped[remote::WRAPPED_SIZE];
	remote::wrap_secret(key, secret, wrapped);
	return hex_text(wrapped, sizeof(wrapped));
}

/* Every node accepts the secret, this one too; each commits at once. */
void have_accepted(const char *wrapped)
{
	pg::Str sql;
	sql.raw("SELECT citus_internal.accept_secret(").literal(wrapped).ch(')');
	pg::Vec<NodeTask> tasks;
	NodeTask task = {};
	task.node = local_node();
	task.sql = sql.c_str();
	tasks.push(task);
	for (const catalog::Node& node : catalog::other_metadata_nodes())
	{
		task.node = node;
		tasks.push(task);
	}
	run_tasks({tasks.data(), static_cast<size_t>(tasks.size())}, true);
	for (const NodeTask& done : tasks)
		if (!done.success)
			ereport(ERROR, (errcode(done.error != nullptr ? done.error->sqlerrcode
														  : ERRCODE_CONNECTION_FAILURE),
							errmsg("node %s:%d did not take the new secret of the cluster",
								   done.node.name, done.node.port),
							errdetail_internal("%s", done.result)));
}

} // namespace

char *wrapped_secret(const Secret& key)
{
	return wrap(key, *catalog::cluster_secret());
}

CIVITAS_PG_BEGIN

/* citus_rotate_cluster_secret(): a new secret for all nodes. The old one is accepted for ten
 * minutes more. */
PG_FUNCTION_INFO_V1(citus_rotate_cluster_secret);
PGDLLEXPORT Datum citus_rotate_cluster_secret(PG_FUNCTION_ARGS)
{
	begin_node_change();
	const Secret& old = *catalog::cluster_secret();
	Secret fresh;
	remote::fill_randomly(fresh.bytes, sizeof(fresh.bytes));
	const char *wrapped = wrap(old, fresh);
	have_accepted(wrapped);
	CIVITAS_DEBUG_POINT("secret_accepted");
	pg::Str sql;
	sql.raw("SELECT citus_internal.use_secret(").literal(wrapped).ch(')');
	txn::run_on_other_nodes(sql.c_str());
	pg::sql_run(sql.c_str());
	explicit_bzero(&fresh, sizeof(fresh));
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::cluster
