/*
 * internal.h: what the planner's files share. See README.md for the map.
 */
#pragma once

#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "civitas/plan/remote_query.h"

CIVITAS_PG_BEGIN
#include "nodes/params.h"
#include "nodes/pathnodes.h"
CIVITAS_PG_END

namespace civitas::planner {

/* --- facts.cpp ------------------------------------------------------------------------------ */

/* What a statement is made of, over all of its levels. */
struct Facts
{
	List *relations;	/* oid list: every sharded table, once */
	List *range_tables; /* every RangeTblEntry that asks for rights or locks */
	List *rights;		/* pg::Rights of each, null for none */
	int sharded_count;	/* appearances of distributed (not reference) tables in FROM lists and as
						   targets */
	int reference_count;
	bool local_relations;  /* plain tables, views materialized or foreign, catalogs */
	bool local_writes;	   /* ... that are written */
	bool sharded_writes;   /* a sharded table is written below the top level (WITH) */
	bool locks;			   /* FOR UPDATE and the like */
	bool waits_for_rows;   /* ... that keep others like it out, and wait */
	bool security_quals;   /* row security or security barrier views */
	bool unsupported_kind; /* range or append distributed tables */
	bool volatile_functions;
	const char *here;	 /* why functions in it run on this node only; null: none does */
	bool local_objects;	 /* user-defined objects that are not on every node */
	bool tableoid;		 /* computes with tableoid, which is another number on each node */
	bool local_rows;	 /* reads what only this node has: a named tuplestore */
	bool parts_computed; /* assigns to parts of a value that is no column of the target */
	bool unknown;		 /* has parts that known_nodes.cpp does not list */
	bool simple;		 /* one relation, no subquery, CTE, sublink or set operation */
};

bool mentions_sharded(Query *query);
void collect_facts(Query *query, Facts *facts);
/* nextval() and its kin, which must not run on a shard's node. */
bool has_sequence_function(Node *node);
/* Computes with the tableoid of a table; being returned as it is does not count. */
bool computes_with_tableoid(Node *node);
/*
 * The role in whose name shards must be read and changed: tables that are reached through a view
 * are its owner's business, and the asking node has checked the rights of everybody.
 * `rights`: what is asked of the relations; `node`: what is shipped. InvalidOid for the current role,
 * also where `node` calls functions that are not PostgreSQL's own: those must not run in another
 * one's name.
 */
Oid role_for_shards(List *rights, Node *node);
/*
 * The same where rows are found or known again by their places (ctid, tableoid), to which nobody is
 * given a right: where the current role has rights on columns only, which the asking node has
 * checked, it is the table's owner, unless triggers would then run in its name. The plan is one
 * role's.
 */
Oid role_for_places(List *rights, Node *node);
/* Whether the node reads system columns. */
bool reads_places(Node *node);
/* Whether a table is reached through a view: then a plan is one role's. */
bool through_views(List *rights);
/* Uses functions, operators or collations that the other nodes may not have. */
bool has_local_objects(Node *node);

/* --- known_nodes.cpp -------------------------------------------------------------------------- */

/* Whether the planner knows what a part of a query, or a kind of range table entry, is. */
bool is_known_node(const Node *node);
bool is_known_kind(const RangeTblEntry *rte);
/* Whether there is anything else in it: then it is nothing for the nodes. */
bool has_unknown_nodes(Node *node);

/* --- inline_functions.cpp --------------------------------------------------------------------- */

/* What a plan depends on beside the tables and functions that are left in its query. */
struct PlanDependencies
{
	List *items; /* PlanInvalItems */
	bool role;	 /* of the current role too */
};

/* Calls of SQL functions that read distributed tables become subqueries, where PostgreSQL would do
 * so. Changes the query; whether there were any. */
bool inline_functions(Query *query, ParamListInfo params, PlanDependencies *dependencies);
void add_dependencies(PlannedStmt *statement, const PlanDependencies& dependencies);

/* --- asking_node.cpp -------------------------------------------------------------------------- */

/* Why an expression or statement has functions that run on the asking node, wherever the rows are;
 * null where it has none. */
const char *why_here(Node *node);
/* The same, where random numbers may be any node's: those of many rows, in no certain order. */
const char *why_here_unless_random(Node *node);
/* The same, for those that must not run elsewhere in any case: they have or tell of effects. */
const char *why_only_here(Node *node);
/* Whether a function that is not IMMUTABLE is one of those that why_here() looks for. */
bool runs_here(Oid function);

/* --- inline_ctes.cpp -------------------------------------------------------------------------- */

/* WITH queries that PostgreSQL would plan as subqueries become subqueries. Changes the query. */
void inline_ctes(Query *query);

/* --- decorrelate.cpp -------------------------------------------------------------------------- */

/* Scalar subqueries that compare sharded tables with the row around them become joins. Changes the query. */
void decorrelate(Query *query);

/* --- parameters.cpp -------------------------------------------------------------------------- */

/* Values for $1, $2, ... of a remote statement, as they are found. */
struct Parameters
{
	List *exprs = NIL;
	List *types = NIL; /* oid list */
};

/*
 * Replaces external parameters and STABLE expressions without columns by remote parameters. A value
 * of a user-defined type travels as text: types' oids differ between nodes.
 */
Node *extract_parameters(Node *node, Parameters *parameters);
/* Whether extract_parameters() would make the expression a parameter. */
bool becomes_parameter(Node *node);
/*
 * Replaces the constants that operators compare or compute with, in WHERE and SET of a statement on
 * one table: texts that differ in such values only become one, which the node plans once. Changes
 * the query.
 */
void extract_constants(Query *query, Parameters *parameters);
/* One expression as a remote parameter, whatever it is. */
Node *add_parameter(Parameters *parameters, Expr *expr);
/* A constant that extract_constants() would make a parameter where an operator has it. */
bool becomes_hole(const Const *value);
/* No column, no subplan, no volatile function: one value per execution. */
bool is_execution_constant(Node *node);

/* --- pinning.cpp ----------------------------------------------------------------------------- */

/* Where a statement's shards are. */
struct Placement
{
	bool ok;
	const char *reason; /* where not ok */
	const catalog::Table *anchor;
	Expr *key; /* of the anchor's distribution type; null = every shard group */
	plan::KeyKind key_kind;
	bool nothing;
};

/* Whether one shard group answers the statement. */
Placement place_on_one_shard(Query *query, ParamListInfo params);
/* For UPDATE and DELETE: whether every shard group can do its part alone. */
Placement place_on_target_shards(Query *query);
/* For INSERT .. SELECT: same; `key` is the expression, over the query's range table, for the
 * target's distribution column. */
Placement place_insert_select(Query *query, Node *key);
/* For MERGE: same; `keys` are the expressions for the distribution column of its INSERTs. */
Placement place_merge(Query *query, List *keys);

/* The value of an equality with a column, as the distribution column's type; null where that may
 * fail. *nothing: no value of the type equals it. */
Expr *key_expression(const catalog::Table& table, Expr *value, bool *nothing);
/* IS NULL that is true of NULL only: of a row, it asks about the fields. */
bool is_null_test(const NullTest *test);
/* Whether the operator is the type's own equality, the one that shards are made by. */
bool is_hash_equality(Oid op, Oid type, Oid collation);

/*
 * Keys that a table's rows must have by AND-ed clauses over range table index varno: fills keys and
 * key_kinds. False where the clauses do not restrict the distribution column. *nothing: no row
 * can match.
 */
bool find_prune_keys(const catalog::Table& table, List *clauses, Index varno, List **keys,
					 List **key_kinds, bool *nothing);

/* --- plan_node.cpp ---------------------------------------------------------------------------- */

/* Whether the results of these target entries can travel in binary. */
bool binary_capable(List *target_list);
/* Whether a type is that of rows of no named type, or of arrays of them: those have no input. */
bool is_nameless_row(Oid type);
/* Whether a column is a row of no named type: ROW(..) can be computed, but not read back. */
bool returns_nameless_rows(List *target_list);
/*
 * The statement around a CustomScan that takes the whole of a query, with all that
 * standard_planner would have left in it for others; fills the scan's target lists. The maker of
 * all statements that standard_planner has not made, with statement_again().
 */
PlannedStmt *statement_around(CustomScan *scan, Query *query, List *target_list,
							  const Facts& facts);
/* A kept statement of one relation, made for another query that differs in constants; shares all
 * but the range table and the rights with it. */
PlannedStmt *statement_again(const PlannedStmt *kept, const Query *query);
/* A CustomScan for a query whose rows are `target_list`'s (NIL where none come back), and the
 * statement around it. */
PlannedStmt *make_statement(Query *query, plan::RemoteQuery *remote, List *target_list,
							List *parameters, List *prune_keys, List *rows, const Facts& facts);
/* Range table entries, dependencies: what makes permission checks, locks and invalidation
 * PostgreSQL's own. */
void add_range_tables(PlannedStmt *statement, Query *query, const Facts& facts);
/* Adds the entry under which EXPLAIN shows remote columns; returns target entries that point to it.
 */
List *remote_target_list(PlannedStmt *statement, List *target_list, Index *index);
/* The plan's target list over the scan's: `target_list`, whose columns they are, without the check
 * options, which are not for the client. */
List *index_var_list(List *scan_target_list, List *target_list);

/* --- router.cpp, modify.cpp, insert.cpp, general.cpp ----------------------------------------- */

/* null, with *reason set, where the statement does not go to one shard group. */
PlannedStmt *plan_router(Query *query, const Facts& facts, ParamListInfo params,
						 const char **reason);
/*
 * Raises 0A000 where a plain table has a foreign key to the table that the change could break:
 * `assignments` (TargetEntry) of an UPDATE, NIL for DELETE.
 */
void refuse_unchecked_keys(Oid relid, List *assignments);
PlannedStmt *plan_modify(Query *query, const Facts& facts, const char *text, int options,
						 ParamListInfo params);
PlannedStmt *plan_insert(Query *query, const Facts& facts, const char *text, int options,
						 ParamListInfo params);
PlannedStmt *plan_general(Query *query, const Facts& facts, const char *text, int options,
						  ParamListInfo params, const char *reason);
/* INSERT .. SELECT that shard groups do on their own; null, with *reason set, where they cannot.
 * `columns`: the target list, completed. */
PlannedStmt *plan_insert_shards(Query *query, List *columns, const Facts& facts,
								const catalog::Table& table, const char **reason);
/* insert.cpp: the SELECT of INSERT .. SELECT: the target list computed over the subquery. */
Query *insert_select_source(Query *query, List *columns);
/* Makes an INSERT fit for a shard: constraints by their columns, identity columns as given. */
void adapt_insert(Query *query, List *columns, const catalog::Table& table);
/* The rows of a change's target, to be found and locked by `query` before, into the store. */
struct EarlyRows
{
	const char *store;
	Query *query;
	List *columns; /* of a store that has more than the target's; NIL: those of `query` */
};
/*
 * UPDATE or DELETE of rows that a SELECT finds and locks first; `target` is null for a local table.
 * `reason`: why the shard groups cannot do it alone.
 */
PlannedStmt *plan_modify_rows(Query *query, const Facts& facts, const catalog::Table *target,
							  const char *text, int options, ParamListInfo params,
							  const char *reason, EarlyRows *early = nullptr);
/* On a node that is not the coordinator, sequences too small to be split among nodes are asked of
 * it. */
Node *with_sequences(Node *node);
/* Puts a node that writes the rows of the statement's plan on top of it, to the table `relid`. */
PlannedStmt *write_rows(PlannedStmt *source, Query *query, plan::RemoteQuery *remote,
						List *parameters, Oid relid);
/* Any SELECT. */
PlannedStmt *plan_select(Query *query, const char *text, int options, ParamListInfo params);
void general_init();

/* Any statement. */
PlannedStmt *plan_any(Query *query, const char *text, int options, ParamListInfo params);
/* row_locks.cpp: whether row marks keep statements with the same marks out, and wait for them. */
bool waits_for_rows(const List *marks);
/* modify_rows.cpp: makes a table of a SELECT a subquery that locks its rows, where the planner
 * could not look the other tables' rows up again. */
void lock_rows_first(Query *select, RowMarkClause *mark);
/* The planner below us: the next hook, or PostgreSQL's own. */
PlannedStmt *plan_below(Query *query, const char *text, int options, ParamListInfo params);
/* planning_run.cpp: the same for a statement in which our hooks have nothing to do. */
PlannedStmt *plan_locally(Query *query, const char *text, int options, ParamListInfo params);

/* modify.cpp: UPDATE or DELETE whose target's rows are found before. */
PlannedStmt *plan_modify_early(Query *query, const Facts& facts, const char *text, int options,
							   ParamListInfo params, EarlyRows *early);

/* --- conflict.cpp ----------------------------------------------------------------------------- */

/* The WITH queries of a statement that a part of it reads, and those that they read. */
List *read_ctes(const Query *query, Node *node);
/* 0A000 where ON CONFLICT of an INSERT that is not done by shard groups alone reads what is not on
 * every node. */
void check_conflict_reads(Query *query);
/* 0A000 where ON CONFLICT does what shards cannot do. */
void check_conflict_action(Query *query, const Facts& facts, const catalog::Table& table);

/* --- merge.cpp -------------------------------------------------------------------------------- */

PlannedStmt *plan_merge(Query *query, const Facts& facts, const char *text, int options,
						ParamListInfo params);
/* insert.cpp: whether the column is an identity column. */
bool is_identity(Oid relid, AttrNumber attno);
/*
 * modify.cpp: whether an UPDATE gives the distribution column another value, so that rows may move
 * to other shards. Where WHERE says that it has this very value, the column is set to itself.
 */
bool sets_key(Query *query, const catalog::Table& target);
/* modify_rows.cpp: columns of a table by which its rows are known, as in EarlyRows' query: its
 * columns, ctid, tableoid. */
List *row_columns(const RangeTblEntry *rte, int varno);
/* modify_rows.cpp: a row of the table, of its row type, from a range table entry that has the
 * table's `count` columns at their places. */
Node *row_value(const Var *whole, Oid relid, int count);

/* --- check_options.cpp ------------------------------------------------------------------------ */

/* Turns the check options of views into a column of RETURNING that the client does not get. */
void add_check_options(Query *query);
/* A constant of type text. */
Const *text_constant(const char *value);
/* Whether a column of RETURNING is one that add_check_options() made. */
bool is_check_option(const TargetEntry *entry);
/* Whether the statement has a RETURNING of the client's. */
bool returns_to_client(const Query *query);

/* --- steps.cpp -------------------------------------------------------------------------------- */

/* Whether a WITH query of the statement changes data. */
bool writes_in_with(const Query *query);
/* A statement whose WITH changes data, as steps that run one after the other. */
PlannedStmt *plan_steps(Query *query, const Facts& facts, const char *text, int options,
						ParamListInfo params);
/* For other statements of steps (merge.cpp): a new store's name, a step (plan/steps.h), the reads
 * that `part` needs before `change` runs, and the statement around the steps. */
const char *new_store();
/* Steps with one store's name fill it one after the other. */
List *make_plan_step(PlannedStmt *statement, const char *store, const char *label,
					 List *target_list, bool counts);
List *reads_before(Query *part, Query *change, const char *text, int options, ParamListInfo params);
PlannedStmt *make_steps(Query *query, const Facts& facts, List *steps);
/* Whether RETURNING is nothing that shards can compute. */
bool returning_stays_here(const Query *query);
/* The change returns columns to a step that computes RETURNING. */
PlannedStmt *plan_returning_here(Query *query, const Facts& facts, const char *text, int options,
								 ParamListInfo params);
/*
 * SELECT of RETURNING's expressions from the rows in a store, which has `columns`: the target's and
 * other tables', and merge_action().
 */
Query *select_returning(Query *query, const char *store, List **columns);
/* Makes a range table entry read the rows of a store, with the columns of a target list. */
void name_store(RangeTblEntry *rte, const char *store, List *target_list);

/* --- statement_cache.cpp ---------------------------------------------------------------------- */

/* make(), or its result for a statement that differs in constants only. */
PlannedStmt *plan_with_cache(Query *query, int options, ParamListInfo params,
							 PlannedStmt *(*make)(Query *, const char *, int, ParamListInfo),
							 const char *text);

/* --- visibility.cpp --------------------------------------------------------------------------- */

/* In a client's query of pg_class, shards are not visible. Changes the query. */
void hide_shards(Query *query);
/* Takes the policies of tables of the metadata out of the query, for their shards have them
 * (row_security.cpp). What is planned depends on the role then. */
void leave_policies_to_shards(Query *query, PlanDependencies *dependencies);

/* modify.cpp: why the nodes cannot run a statement themselves; null where they can. Volatile
 * functions are not looked at. */
const char *why_not_shipped(const Facts& facts);

[[noreturn]] void raise_unsupported(const char *detail, const char *hint = nullptr);

} // namespace civitas::planner
