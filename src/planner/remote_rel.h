/*
 * remote_rel.h: a relation of PostgreSQL's planner whose rows a remote query can deliver.
 */
#pragma once

#include "internal.h"

#include "civitas/route/pinning.h"

namespace civitas::planner {

struct RemoteRel;

/* WHERE [NOT] EXISTS (SELECT FROM inner WHERE clauses). */
struct SemiJoin
{
	const RemoteRel *inner;
	List *clauses;
	bool anti;
};

/*
 * Known for base and join relations, and for the upper relations made of them, while a planner runs
 * (remote_rel_of). Says what the remote query is, in terms of the planner's own range table: FROM
 * `from` WHERE `quals` GROUP BY ..., to be run on every shard group (Sharded) or any one replica
 * (Replicated).
 */
struct RemoteRel
{
	route::Spread spread;
	const catalog::Table *anchor;
	List *keys;	   /* columns (Vars, see keys.cpp) each of which decides the row's shard; NIL where
					  none is left */
	Relids relids; /* range table indexes in `from` */
	Relids all_relids; /* those of semi joins too */
	List *semi_joins;  /* SemiJoin pointers */
	Node *from;		   /* RangeTblRef or JoinExpr (rtindex 0: numbered when the query is built) */
	List *quals;	   /* AND-ed, bare clauses, shippable */
	List *prune_keys;
	List *key_kinds;
	plan::Pruning pruning;
	double input_rows; /* rows that the nodes read, for costs */

	/* Upper stages; target is null for plain rows of the relations' columns. */
	PathTarget *target;
	bool partial;		/* target's aggregates are partial */
	List *group_clause; /* SortGroupClauses over target's sortgrouprefs */
	List *having;		/* AND-ed */
	List *distinct_clause;
	List *sort_clause;
	Node *limit;
	bool merged;		 /* the rows of all shard groups come as sort_clause says */
	RowMarkClause *lock; /* FOR UPDATE and the like of a leaf; null for none */
	bool grouped;		 /* GROUP BY or aggregates are in the remote query */
	bool windowed;		 /* window functions are, too */

	/* Of a subquery in FROM that each shard group computes alone: the planner's query of it, and
	 * what it says of its rows; null for others. */
	PlannerInfo *subroot;
	RemoteRel *inside;
};

/* --- planning_run.cpp: only within hooks of a run over a statement that we prepared ----------- */

/* Whether the planner's statement is one that we prepared: hooks look at nothing else. */
bool general_planning();
/* The planner's relation as a remote one; null where it is not. */
RemoteRel *remote_rel_of(const RelOptInfo *rel);
/* Until the run ends, or the relation's memory goes away. */
void set_remote_rel(const RelOptInfo *rel, RemoteRel *remote);
/* The row lock that the statement wants of a sharded table; null for none. */
RowMarkClause *row_lock(const PlannerInfo *root, Index index);
/* Remote queries read tables of subqueries that the plan has no node for. */
void note_hidden_tables();
/* PostgreSQL's planner over a statement that we prepared for our hooks; `row_locks`: what was taken
 * out of it. `hidden_tables`: see above. */
PlannedStmt *plan_prepared(Query *query, const List *row_locks, const char *text, int options,
						   ParamListInfo params, bool *hidden_tables);

/* --- row_locks.cpp ---------------------------------------------------------------------------- */

/* Takes the row marks of sharded tables out of a query, and makes local tables that are locked
 * subqueries that do it. What was taken, by query level. */
List *take_row_locks(Query *query);
/* The mark of a range table entry of the level that `root` plans; null for none. */
RowMarkClause *row_lock_of(const List *levels, const PlannerInfo *root, Index index);

/* --- keys.cpp --------------------------------------------------------------------------------- */

/* The relation's key whose value an expression has; null for other expressions. */
Var *key_of(const RemoteRel *remote, Node *node);
/* Whether values of the distribution column that this equality takes for equal are in one shard. */
bool tells_shards_apart(const catalog::Table& table, Oid equality, Oid collation);

/* shippable.cpp: whether the nodes give the same answer for an expression, and can. With `root`: values of
 * subqueries that run once, before its scans, may be in it. */
bool is_shippable(Node *node, const PlannerInfo *root = nullptr);

/* remote_path.cpp */
/* A path that delivers `target` (of rel) through the remote relation. */
CustomPath *make_remote_path(PlannerInfo *root, RelOptInfo *rel, RemoteRel *remote,
							 PathTarget *target, double rows);

/* subquery.cpp */
/* Whether shard groups compute all window functions of the query alone, over these rows. */
bool windows_are_local(PlannerInfo *root, const RemoteRel *input);
/* The last relation of a subquery: remote where nothing of its work is left to do here. */
void close_subquery(PlannerInfo *root, const RemoteRel *input, RelOptInfo *output);
/* A subquery in FROM that was closed, as a remote relation; null for others. */
RemoteRel *subquery_rel(PlannerInfo *root, RelOptInfo *rel, const RangeTblEntry *rte, Index index);
/* What a remote query over relations of `root` reads, at all levels. */
struct TablesRead
{
	List *relids; /* oids, each once */
	List *rights;
};
void tables_read(PlannerInfo *root, Relids relids, TablesRead *tables);

/* upper.cpp */
/* Partial aggregates of an expression as SQL that computes them on a node; the expression's type
 * stays. */
Node *remote_partial_aggregates(Node *node);
void upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output,
				 void *extra);

/* join.cpp */
void join_paths(PlannerInfo *root, RelOptInfo *join, RelOptInfo *outer, RelOptInfo *inner,
				JoinType type, JoinPathExtraData *extra);

} // namespace civitas::planner
