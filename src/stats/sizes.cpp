/*
 * sizes.cpp: the size of a relation on this node, without waiting for anybody.
 *
 * Size functions ask every node over sessions of their own, outside of the caller's transaction.
 * Were they to wait for a lock that the caller's own transaction holds on a node, nobody would
 * notice the deadlock. So a relation that is locked against readers has no size for the moment.
 */
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_class.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Without a header of their own that C++ can include. */
extern Datum pg_relation_size(PG_FUNCTION_ARGS);
extern Datum pg_table_size(PG_FUNCTION_ARGS);
extern Datum pg_total_relation_size(PG_FUNCTION_ARGS);
CIVITAS_PG_END

CIVITAS_PG_BEGIN

/* relation_size(oid, kind): kind is relation, table or total; NULL when gone or locked. */
PG_FUNCTION_INFO_V1(citus_internal_relation_size);
PGDLLEXPORT Datum citus_internal_relation_size(PG_FUNCTION_ARGS)
{
	const Oid relid = PG_GETARG_OID(0);
	const char *kind = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (!ConditionalLockRelationOid(relid, AccessShareLock))
		PG_RETURN_NULL();
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
	{
		UnlockRelationOid(relid, AccessShareLock);
		PG_RETURN_NULL();
	}
	Datum size;
	if (strcmp(kind, "total") == 0)
		size = DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(relid));
	else if (strcmp(kind, "table") == 0)
		size = DirectFunctionCall1(pg_table_size, ObjectIdGetDatum(relid));
	else
		size = DirectFunctionCall2(pg_relation_size, ObjectIdGetDatum(relid),
								   CStringGetTextDatum("main"));
	UnlockRelationOid(relid, AccessShareLock);
	PG_RETURN_DATUM(size);
}

CIVITAS_PG_END
