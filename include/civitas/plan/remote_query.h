/*
 * remote_query.h: what planner and executor agree on.
 *
 * A RemoteQuery is one SQL statement to be run on shard groups: a text with holes, and how to fill
 * them. It is an extensible node in CustomScan.custom_private, so a plan that holds it can be
 * copied, printed, read back and cached. Expressions live beside it in custom_private, as three
 * nested lists (and not in custom_exprs: there the planner would replace any part that equals a
 * column of custom_scan_tlist by a reference to it, as if it were computed from the rows):
 *
 *     custom_private = ( RemoteQuery, ( parameters, prune_keys, rows ) )
 *
 *   parameters   value of $1, $2, ... of the remote SQL, evaluated once per execution, here:
 *                external parameters, STABLE functions without columns, ...; null for the next of
 *                custom_exprs: what other parts of the plan compute (an InitPlan, the rows of the
 *                outer side of a nested loop), which PostgreSQL's planner has to know of.
 *   prune_keys   see pruning below.
 *   rows         INSERT .. VALUES: a list of rows, each a list with one expression per column of
 *                insert_columns. Evaluated here, once each. Empty otherwise.
 *
 * A task is (shard index) of the anchor table; its SQL is the template with every relation's shard
 * of that index.
 */
#pragma once

#include "civitas/base/ids.h"
#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/extensible.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "nodes/primnodes.h"
CIVITAS_PG_END

namespace civitas::catalog {
struct Table;
}

namespace civitas::plan {

/* Which planner made it: the architecture, "From statement to plan". EXPLAIN prints the names. */
enum class Tier : int
{
	FastPath = 1,
	Router = 2,
	Pushdown = 3,
	General = 4
};

/* Where the tasks run. */
enum class Target : int
{
	ShardGroups = 0, /* one task for each shard group of the anchor that pruning leaves */
	AnyReplica = 1,	 /* one task: only reference tables (or none); here if there is a replica */
	AllReplicas = 2	 /* a write to a reference table: on every placement, rows of the first */
};

/*
 * Pruning, for Target::ShardGroups.
 *   All       every shard group
 *   Keys      the union of the shards of all prune_keys, by their KeyKind. NULL keys match nothing.
 *   Nothing   no shard can match (WHERE false): the query still runs, on one shard, when it must
 *             return a row (aggregates without GROUP BY in the remote SQL); else nothing runs.
 *   Routed    INSERT: each row decides, by the value at distribution_position of its row.
 */
enum class Pruning : int
{
	All = 0,
	Keys = 1,
	Nothing = 2,
	Routed = 3
};

/* What a prune key is an expression for. */
enum class KeyKind : int
{
	Equals = 0, /* of the distribution column's type: that value */
	AnyOf = 1,	/* of an array of it: any of its values */
	IsNull = 2	/* a constant that stands for nothing: the shard of NULL */
};

struct RemoteQuery
{
	ExtensibleNode extensible;

	Tier tier;
	CmdType command; /* CMD_SELECT, CMD_INSERT, CMD_UPDATE, CMD_DELETE */
	Target target;
	Pruning pruning;
	bool returns_rows;	 /* SELECT, or RETURNING */
	bool binary_results; /* every result column can travel in binary */
	bool read_only;		 /* no data change and no row lock on the nodes (volatile functions count as
							change) */
	bool on_conflict;	 /* INSERT .. ON CONFLICT */
	bool waits_for_rows; /* SELECT that locks rows so that others like it wait, and waits itself */
	bool run_when_empty; /* Pruning::Nothing and no keys left: run on one shard all the same, to get
							its one row */

	bool rows_repeat; /* UPDATE and DELETE of rows found before: a row may come several times */
	int tableoid_position; /* same: index into insert_columns of the row's partition, -1: none */
	bool rows_at_once; /* same: what rows are known by changes, so that one statement must have all
						*/
	/* UPDATE of the distribution column: rows whose new value belongs to another shard are not
	 * updated but leave the old one and arrive in the new one. */
	List *moves;		/* RemoteQuery: a DELETE that returns the rows, an INSERT of them; or NIL */
	int moved_position; /* index into insert_columns of the new value */
	bool row_by_row;	/* an INSERT whose RETURNING reads columns of the one row it is given */

	Oid run_as; /* role in whose name the tasks run: a view's owner; InvalidOid: the current one */
	Oid anchor; /* table whose shards are enumerated; InvalidOid with AnyReplica over no table */
	List *relations; /* oid list: every metadata table in the statement, once; for affinity and
						locks */
	List *pieces;	 /* String nodes: template text around the holes, one more than holes */
	List *holes; /* oid list: table whose (qualified) shard name fills the hole; InvalidOid = the
					VALUES rows */
	List *parameter_types; /* oid list: type to declare for $n; a user-defined type is sent as text
							  with a cast in the SQL */
	List *key_kinds;	   /* int list of KeyKind, one per prune key */
	List *insert_columns;  /* String nodes: columns of an INSERT, in row order */
	List *insert_types;	   /* oid list: their types */
	/* Where each task's rows are sorted and all of them are to be: what by, in order. Columns of
	 * the rows (int list), their ordering operators and collations (oid lists), whether nulls come
	 * first (int list). */
	List *merge_columns;
	List *merge_operators;
	List *merge_collations;
	List *merge_nulls_first;
	int distribution_position; /* index into insert_columns, -1 where there is none */
	char *reason;			   /* why not a lower tier, for EXPLAIN VERBOSE; null for the first */

	/* Not part of the plan, and not copied: texts of single tasks, see kept_sql(). */
	mutable bool ran_before;
	mutable struct KeptTexts *kept;
};
CIVITAS_SERVER_STATE(RemoteQuery);

inline constexpr const char *REMOTE_QUERY_NAME = "CitusRemoteQuery";

RemoteQuery *make_remote_query();

/* Gives the scan its RemoteQuery and the expressions, made ready to be evaluated. */
void set_remote_query(CustomScan *scan, RemoteQuery *query, List *parameters, List *prune_keys,
					  List *rows);

/* The RemoteQuery and the expression lists of a CustomScan that carries one. */
List *expressions_of(const CustomScan *scan);
RemoteQuery *remote_query_of(const CustomScan *scan);
List *parameters_of(const CustomScan *scan);
List *prune_keys_of(const CustomScan *scan);
List *rows_of(const CustomScan *scan);

/*
 * Template text of a task: pieces and holes with the shard names of `shard_index` (reference
 * tables: their one shard). `tables` are those of the holes, in their order; `values` fills the
 * VALUES hole (null where there is none). In CurrentMemoryContext.
 */
char *task_sql(const RemoteQuery *query, const catalog::Table *const *tables, int shard_index,
			   const char *values);

/*
 * Texts of statements that touch one shard, kept in the plan's memory from its second execution on:
 * the last ones, until a name changes. Null where there is none; what is returned is a copy in
 * CurrentMemoryContext. `generation` is catalog::names_generation() of when the text's tables were
 * looked up.
 */
char *kept_sql(const RemoteQuery *query, int shard_index);
void keep_sql(const RemoteQuery *query, int shard_index, const char *sql, uint64 generation);

/* The extensible node's methods; the CustomScan methods belong to executor (executor/scan.h). */
void plan_init();

} // namespace civitas::plan
