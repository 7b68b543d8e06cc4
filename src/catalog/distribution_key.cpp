/*
 * distribution_key.cpp: see distribution_key.h.
 */
#include "distribution_key.h"

CIVITAS_PG_BEGIN
#include "nodes/makefuncs.h"
#include "nodes/primnodes.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::catalog {

char *distribution_key(Oid relid, AttrNumber attno)
{
	Oid type;
	int32 typmod;
	Oid collation;
	get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
	return nodeToString(makeVar(1, attno, type, typmod, collation, 0));
}

AttrNumber column_of_distribution_key(const char *key)
{
	auto *node = static_cast<Node *>(stringToNode(key));
	if (node == nullptr || !IsA(node, Var))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("not a column: %s", key)));
	return reinterpret_cast<Var *>(node)->varattno;
}

} // namespace civitas::catalog
