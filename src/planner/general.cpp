/*
 * general.cpp: PostgreSQL's planner over remote relations.
 *
 * The statement is planned by PostgreSQL; hooks give each sharded table a path that reads its
 * shards (below), joins that shard groups can do alone a path that joins there (join.cpp), and
 * aggregation, sorting and limits over one remote relation paths that do most of it there
 * (upper.cpp). Costs choose; whatever has no remote path runs here. Table shells are empty and must
 * never be scanned: their own paths are thrown away.
 */
#include "remote_rel.h"

#include "civitas/deparse/query_template.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/plancat.h"
#include "optimizer/planner.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/rel.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

/* Rows of a table nobody has analysed, in each shard. */
constexpr double DEFAULT_SHARD_ROWS = 1000.0;

set_rel_pathlist_hook_type next_rel_paths = nullptr;
set_join_pathlist_hook_type next_join_paths = nullptr;
create_upper_paths_hook_type next_upper_paths = nullptr;
get_relation_info_hook_type next_relation_info = nullptr;

/* Prepares range table entries of sharded tables, in all levels: the partitions of a distributed
 * partitioned table are the nodes' concern. */
bool prepare_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		Query *query = castNode(Query, node);
		ListCell *cell;
		foreach (cell, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
			if (!deparse::is_sharded_rte(rte))
				continue;
			/* ONLY a partitioned table: no rows, PostgreSQL knows. */
			if (rte->relkind == RELKIND_PARTITIONED_TABLE && rte->inh)
				rte->relkind = RELKIND_RELATION;
			rte->inh = false;
		}
		return pg::walk_query(query, prepare_walker, context);
	}
	return pg::walk_children(node, prepare_walker, context);
}

/* Shells have no pages: the row count comes from ANALYZE, or is a guess. */
void relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel)
{
	if (next_relation_info)
		next_relation_info(root, relid, inhparent, rel);
	if (!general_planning() || !deparse::is_sharded(relid))
		return;
	/* 16 lists the indexes of partitioned tables, which nothing can scan, to know what is unique. */
	ListCell *cell;
	foreach (cell, rel->indexlist)
		if (lfirst_node(IndexOptInfo, cell)->amcostestimate == nullptr)
			rel->indexlist = foreach_delete_current(rel->indexlist, cell);
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return;
	const Form_pg_class form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
	if (form->reltuples > 0)
	{
		rel->tuples = form->reltuples;
		rel->pages = form->relpages;
	}
	else
	{
		const catalog::Table& table = catalog::get_table(relid);
		rel->tuples = DEFAULT_SHARD_ROWS * table.shard_count;
		rel->pages = static_cast<BlockNumber>(rel->tuples / 100) + 1;
	}
	ReleaseSysCache(tuple);
}

RemoteRel *make_leaf(PlannerInfo *root, RelOptInfo *rel, Index index, const RangeTblEntry *rte)
{
	const catalog::Table& table = catalog::get_table(rte->relid);
	RemoteRel *remote = static_cast<RemoteRel *>(palloc0(sizeof(RemoteRel)));
	remote->spread = table.kind == catalog::TableKind::Reference ? route::Spread::Replicated
																 : route::Spread::Sharded;
	remote->anchor = &table;
	remote->relids = bms_make_singleton(static_cast<int>(index));
	remote->all_relids = remote->relids;
	RangeTblRef *from = makeNode(RangeTblRef);
	from->rtindex = static_cast<int>(index);
	remote->from = reinterpret_cast<Node *>(from);
	remote->input_rows = rel->tuples;
	if (table.distribution_attno)
	{
		Var *key = makeVar(static_cast<int>(index), table.distribution_attno,
						   table.distribution_type, -1, table.distribution_collation, 0);
		remote->keys = list_make1(key);
	}
	remote->lock = row_lock(root, index);
	bool nothing;
	remote->pruning = plan::Pruning::All;
	if (find_prune_keys(table, rel->baserestrictinfo, index, &remote->prune_keys,
						&remote->key_kinds, &nothing))
		remote->pruning = nothing ? plan::Pruning::Nothing : plan::Pruning::Keys;
	return remote;
}

/* The clauses over the relation, if all of them can be shipped, become part of it: then it can be
 * joined remotely. */
bool all_clauses_shippable(const PlannerInfo *root, RelOptInfo *rel)
{
	ListCell *cell;
	foreach (cell, rel->baserestrictinfo)
	{
		const RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		if (info->pseudoconstant || info->security_level > 0 ||
			!is_shippable(reinterpret_cast<Node *>(info->clause), root))
			return false;
	}
	return true;
}

/* For joins and upper relations the clauses are part of the relation. */
void set_whole_rel(const RelOptInfo *rel, const RemoteRel *remote)
{
	RemoteRel *whole = static_cast<RemoteRel *>(palloc(sizeof(RemoteRel)));
	*whole = *remote;
	whole->quals =
		list_concat_copy(remote->quals, extract_actual_clauses(rel->baserestrictinfo, false));
	set_remote_rel(rel, whole);
}

void subquery_paths(PlannerInfo *root, RelOptInfo *rel, Index index, const RangeTblEntry *rte)
{
	RemoteRel *remote = subquery_rel(root, rel, rte, index);
	if (remote == nullptr || !all_clauses_shippable(root, rel))
		return;
	set_whole_rel(rel, remote);
	add_path(rel, reinterpret_cast<Path *>(
					  make_remote_path(root, rel, remote, rel->reltarget, rel->rows)));
}

void rel_paths(PlannerInfo *root, RelOptInfo *rel, Index index, RangeTblEntry *rte)
{
	if (next_rel_paths)
		next_rel_paths(root, rel, index, rte);
	if (!general_planning() || IS_DUMMY_REL(rel))
		return;
	if (rte->rtekind == RTE_SUBQUERY)
	{
		subquery_paths(root, rel, index, rte);
		return;
	}
	if (rte->rtekind != RTE_RELATION || !deparse::is_sharded_rte(rte))
		return;
	RemoteRel *remote = make_leaf(root, rel, index, rte);
	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	rel->consider_parallel = false;
	add_path(rel, reinterpret_cast<Path *>(
					  make_remote_path(root, rel, remote, rel->reltarget, rel->rows)));

	if (remote->lock == nullptr && bms_is_empty(rel->lateral_relids) &&
		all_clauses_shippable(root, rel))
		set_whole_rel(rel, remote);
}

void join_hook(PlannerInfo *root, RelOptInfo *join, RelOptInfo *outer, RelOptInfo *inner,
			   JoinType type, JoinPathExtraData *extra)
{
	if (next_join_paths)
		next_join_paths(root, join, outer, inner, type, extra);
	if (general_planning())
		join_paths(root, join, outer, inner, type, extra);
}

void upper_hook(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output,
				void *extra)
{
	if (next_upper_paths)
		next_upper_paths(root, stage, input, output, extra);
	if (general_planning())
		upper_paths(root, stage, input, output, extra);
}

} // namespace

PlannedStmt *plan_general(Query *query, const Facts& facts, const char *text, int options,
						  ParamListInfo params, const char *reason)
{
	Query *copy = static_cast<Query *>(copyObjectImpl(query));
	List *locks = facts.locks ? take_row_locks(copy) : NIL;
	decorrelate(copy);
	prepare_walker(reinterpret_cast<Node *>(copy), nullptr);

	bool hidden_tables;
	PlannedStmt *statement =
		plan_prepared(copy, locks, text, options & ~CURSOR_OPT_PARALLEL_OK, params, &hidden_tables);
	if (hidden_tables)
		add_range_tables(statement, query, facts);
	return statement;
}

void general_init()
{
	next_rel_paths = set_rel_pathlist_hook;
	set_rel_pathlist_hook = rel_paths;
	next_join_paths = set_join_pathlist_hook;
	set_join_pathlist_hook = join_hook;
	next_upper_paths = create_upper_paths_hook;
	create_upper_paths_hook = upper_hook;
	next_relation_info = get_relation_info_hook;
	get_relation_info_hook = relation_info;
}

} // namespace civitas::planner
