/*
 * shard_rights.cpp: who may lock rows of shards.
 *
 * A DELETE or MERGE that is not one shard group's own first finds its rows and locks them, by SELECT ..
 * FOR UPDATE on the nodes, and PostgreSQL wants the right to UPDATE for that. DELETE locks rows as well,
 * and needs no such right: so here the right to DELETE is enough.
 */
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

/* UPDATE of any column is what PostgreSQL asks for. */
bool may_update(Oid relid, Oid role)
{
	return pg_class_aclcheck(relid, role, ACL_UPDATE) == ACLCHECK_OK ||
		   pg_attribute_aclcheck_all(relid, role, ACL_UPDATE, ACLMASK_ANY) == ACLCHECK_OK;
}

} // namespace

void let_deleters_lock(Query *query)
{
	ListCell *cell;
	foreach (cell, query->rowMarks)
	{
		const RowMarkClause *mark = lfirst_node(RowMarkClause, cell);
		RangeTblEntry *rte = rt_fetch(mark->rti, query->rtable);
		if (rte->rtekind != RTE_RELATION || !is_known_shard(rte->relid, nullptr))
			continue;
		pg::Rights *rights = pg::rights_of(query, rte);
		const Oid role = OidIsValid(rights->checkAsUser) ? rights->checkAsUser : GetUserId();
		if (!may_update(rte->relid, role) &&
			pg_class_aclcheck(rte->relid, role, ACL_DELETE) == ACLCHECK_OK)
			rights->requiredPerms = (rights->requiredPerms & ~ACL_UPDATE) | ACL_DELETE;
	}
}

} // namespace civitas::catalog
