/*
 * visibility.cpp: shards are not in the catalogs that clients read.
 *
 * Every reference to pg_class in a client's query gets a security qual that is false for shards and
 * their indexes: \d, pg_tables, information_schema and pg_dump all find relations through pg_class.
 * A qual of the range table entry, and not of WHERE, means the same on the nullable side of an
 * outer join. Sessions between nodes, background processes, and sessions whose application_name
 * begins with one of citus.show_shards_for_app_name_prefixes see everything.
 */
#include "internal.h"

CIVITAS_PG_BEGIN
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

struct Search
{
	bool hidden;  /* shards_are_hidden() was asked and said so */
	Oid is_shard; /* relation_is_a_known_shard(regclass) */
	bool give_up; /* this session sees shards */
};

/* Asked once a statement, and only of statements that read pg_class. */
bool must_hide(Search *search)
{
	if (search->hidden || search->give_up)
		return search->hidden;
	Oid type = REGCLASSOID;
	if (MyBackendType == B_BACKEND && catalog::shards_are_hidden())
		search->is_shard =
			LookupFuncName(list_make2(makeString(pstrdup("pg_catalog")),
									  makeString(pstrdup("relation_is_a_known_shard"))),
						   1, &type, true);
	search->hidden = OidIsValid(search->is_shard);
	search->give_up = !search->hidden;
	return search->hidden;
}

/* NOT relation_is_a_known_shard(oid) */
Node *not_a_shard(Oid is_shard, Index varno)
{
	Var *oid = makeVar(varno, Anum_pg_class_oid, OIDOID, -1, InvalidOid, 0);
	RelabelType *relation = makeRelabelType(reinterpret_cast<Expr *>(oid), REGCLASSOID, -1,
											InvalidOid, COERCE_IMPLICIT_CAST);
	FuncExpr *call = makeFuncExpr(is_shard, BOOLOID, list_make1(relation), InvalidOid, InvalidOid,
								  COERCE_EXPLICIT_CALL);
	return reinterpret_cast<Node *>(makeBoolExpr(NOT_EXPR, list_make1(call), -1));
}

/* The references of one query level; true where there may be levels below. */
bool restrict_level(Query *query, Search *search)
{
	bool deeper = query->hasSubLinks || query->cteList != NIL;
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		auto *rte = lfirst_node(RangeTblEntry, cell);
		deeper = deeper || rte->rtekind == RTE_SUBQUERY;
		const Index varno = foreach_current_index(cell) + 1;
		if (rte->rtekind == RTE_RELATION && rte->relid == RelationRelationId &&
			varno != static_cast<Index>(query->resultRelation) && must_hide(search))
			rte->securityQuals = lcons(not_a_shard(search->is_shard, varno), rte->securityQuals);
	}
	return deeper;
}

bool restrict_below(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (!IsA(node, Query))
		return pg::walk_children(node, restrict_below, context);
	if (!restrict_level(castNode(Query, node), static_cast<Search *>(context)))
		return false;
	return pg::walk_query(castNode(Query, node), restrict_below, context);
}

} // namespace

void hide_shards(Query *query)
{
	Search search = {};
	restrict_below(reinterpret_cast<Node *>(query), &search);
}

} // namespace civitas::planner
