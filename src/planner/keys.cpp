/*
 * keys.cpp: columns that decide a row's shard, in the planner's expressions.
 *
 * A key is a column's number, with the type and the collation that its shards were made by. How
 * long a value may be (varchar(n), numeric(p,s)), what it is relabelled to (text, a domain's base
 * type) and what it was called in the query are not part of it.
 */
#include "remote_rel.h"

CIVITAS_PG_BEGIN
#include "nodes/nodeFuncs.h"
CIVITAS_PG_END

namespace civitas::planner {

Var *key_of(const RemoteRel *remote, Node *node)
{
	while (node && IsA(node, RelabelType))
		node = reinterpret_cast<Node *>(castNode(RelabelType, node)->arg);
	if (node == nullptr || !IsA(node, Var) || castNode(Var, node)->varlevelsup > 0)
		return nullptr;
	ListCell *cell;
	foreach (cell, remote->keys)
	{
		Var *key = lfirst_node(Var, cell);
		if (key->varno == castNode(Var, node)->varno &&
			key->varattno == castNode(Var, node)->varattno)
			return key;
	}
	return nullptr;
}

bool tells_shards_apart(const catalog::Table& table, Oid equality, Oid collation)
{
	/* The hash is that of the column's own collation; a collation that takes only the same bytes
	 * for equal is as good. */
	return is_hash_equality(equality, table.distribution_type,
							collation == table.distribution_collation ? InvalidOid : collation);
}

} // namespace civitas::planner
