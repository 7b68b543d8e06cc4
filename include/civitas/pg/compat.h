/*
 * compat.h: what differs between PostgreSQL 15 and 18, under the newest version's signature.
 *
 * The only place that tests PG_VERSION_NUM. Each shim says which version changed what; it goes
 * away when the older version is no longer supported.
 */
#pragma once

#include "civitas/pg/server.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "Civitas knows PostgreSQL 15 to 18"
#endif
/* What is asked and changed in SQL is tested on 18; crashes, moves under load and failovers are not. */
#if PG_VERSION_NUM >= 180000 && !defined(CIVITAS_NEWER_SERVERS)
#error "Civitas is finished for PostgreSQL 15 to 17; build with CIVITAS_NEWER_SERVERS to work on 18"
#endif

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/sysattr.h"
#include "catalog/index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_subscription_rel.h"
#include "commands/explain.h"
#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "commands/vacuum.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
#include "optimizer/prep.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "rewrite/rewriteManip.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "tcop/cmdtag.h"
#include "tcop/pquery.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* Declared in libpq/libpq.h, which needs the headers of GSSAPI. 17 says how much there is. */
#if PG_VERSION_NUM >= 170000
extern ssize_t pq_buffer_remaining_data(void);
#else
extern bool pq_buffer_has_data(void);
#endif
extern int pq_peekbyte(void);
CIVITAS_PG_END

#include <span>

struct config_generic;

#if PG_VERSION_NUM < 170000
/* What an action of MERGE is for; 17 added rows of the target that the source does not have. */
enum MergeMatchKind
{
	MERGE_WHEN_MATCHED,
	MERGE_WHEN_NOT_MATCHED_BY_SOURCE,
	MERGE_WHEN_NOT_MATCHED_BY_TARGET
};
#endif

namespace civitas::pg {

/* The version that this library is built for, to compare other nodes' with: remote::server_major(). */
inline constexpr int SERVER_MAJOR = PG_VERSION_NUM / 10000;

/* Whether GRANT knows a privilege of this name, which some version does: 17 brought MAINTAIN. */
inline bool is_privilege(const char *name)
{
#if PG_VERSION_NUM >= 170000
	(void) name;
	return true;
#else
	return strcmp(name, "maintain") != 0;
#endif
}

/*
 * What a statement that is analysed by hand may do with a relation. 16 moved this from the range
 * table entry to RTEPermissionInfo.
 */
#if PG_VERSION_NUM >= 160000
inline void require_right(ParseNamespaceItem *item, AclMode right)
{
	item->p_perminfo->requiredPerms = right;
}
inline void require_insert_into(ParseNamespaceItem *item, int attribute)
{
	item->p_perminfo->insertedCols = bms_add_member(item->p_perminfo->insertedCols,
													attribute - FirstLowInvalidHeapAttributeNumber);
}
inline void check_rights(ParseState *state, ParseNamespaceItem *item)
{
	ExecCheckPermissions(state->p_rtable, list_make1(item->p_perminfo), true);
}
#else
inline void require_right(ParseNamespaceItem *item, AclMode right)
{
	item->p_rte->requiredPerms = right;
}
inline void require_insert_into(ParseNamespaceItem *item, int attribute)
{
	item->p_rte->insertedCols =
		bms_add_member(item->p_rte->insertedCols, attribute - FirstLowInvalidHeapAttributeNumber);
}
inline void check_rights(ParseState *state, ParseNamespaceItem *)
{
	ExecCheckRTPerms(state->p_rtable, true);
}
#endif
/*
 * What a statement asks to do with a relation, and in whose name. 16 took it out of the range table
 * entry, into a list beside the range table; a view's subquery then asks for the view's. Before, the
 * entry itself stands for it: the fields are called the same.
 */
#if PG_VERSION_NUM >= 160000
using Rights = RTEPermissionInfo;
/* Null: the entry asks for nothing. */
inline Rights *rights_of(List *all, const RangeTblEntry *rte)
{
	return rte->perminfoindex ? list_nth_node(RTEPermissionInfo, all, rte->perminfoindex - 1)
							  : nullptr;
}
inline Rights *rights_of(const Query *query, const RangeTblEntry *rte)
{
	return rights_of(query->rteperminfos, rte);
}
/* Gives `copy`, an entry of a list beside which `*all` is, the rights of another query's entry. */
inline void give_rights(List **all, RangeTblEntry *copy, const Rights *rights)
{
	copy->perminfoindex = 0;
	if (rights == nullptr)
		return;
	*all = lappend(*all, copyObjectImpl(rights));
	copy->perminfoindex = static_cast<Index>(list_length(*all));
}
inline void give_rights(Query *query, RangeTblEntry *copy, const Rights *rights)
{
	give_rights(&query->rteperminfos, copy, rights);
}
/* The list is the statement's own afterwards, also where the statement is a flat copy. */
inline void give_rights(PlannedStmt *statement, RangeTblEntry *copy, const Rights *rights)
{
	statement->permInfos = list_copy(statement->permInfos);
	give_rights(&statement->permInfos, copy, rights);
}
inline void forget_rights(PlannedStmt *statement)
{
	statement->permInfos = NIL;
}
/* The entry stands for something else from now on, of which nothing is asked. */
inline void forget_rights(RangeTblEntry *rte)
{
	rte->perminfoindex = 0;
}
#else
using Rights = RangeTblEntry;
inline Rights *rights_of(const Query *, RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION ? rte : nullptr;
}
inline const Rights *rights_of(const Query *, const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION ? rte : nullptr;
}
inline void give_rights(Query *, RangeTblEntry *, const Rights *) {}
inline void give_rights(PlannedStmt *, RangeTblEntry *, const Rights *) {}
inline void forget_rights(PlannedStmt *) {}
inline void forget_rights(RangeTblEntry *) {}
#endif

/* Says that the relation with this number may be opened when the plan runs; 18 keeps a set of those
 * that no pruning takes away. */
inline void allow_opening(PlannedStmt *statement, Index number)
{
#if PG_VERSION_NUM >= 180000
	statement->unprunableRelids =
		bms_add_member(bms_copy(statement->unprunableRelids), static_cast<int>(number));
#endif
}

/*
 * Says grouping expressions where a query refers to them, on all its levels. 18 gives SELECT lists and
 * HAVING Vars of a range table entry of its own, the grouping step; what reads queries here looks for
 * columns. With grouping sets such a Var may be NULL where the expression is not, so that it stays.
 */
#if PG_VERSION_NUM >= 180000
void resolve_groups(Query *query);
#else
inline void resolve_groups(Query *) {}
#endif

/* Whether a column of RETURNING is said to be the row's before or after the change; 18 added OLD and
 * NEW. */
inline bool is_old_or_new([[maybe_unused]] const Var *var)
{
#if PG_VERSION_NUM >= 180000
	return var->varreturningtype != VAR_RETURNING_DEFAULT;
#else
	return false;
#endif
}
inline bool is_old([[maybe_unused]] const Var *var)
{
#if PG_VERSION_NUM >= 180000
	return var->varreturningtype == VAR_RETURNING_OLD;
#else
	return false;
#endif
}
/* Makes a column one of the same row as `whole`. */
inline Var *of_same_row(Var *column, [[maybe_unused]] const Var *whole)
{
#if PG_VERSION_NUM >= 180000
	column->varreturningtype = whole->varreturningtype;
#endif
	return column;
}
/* Queries made by hand have no names for the two rows: a column would be printed without, and be
 * another one. No table is called like that. Where RETURNING does not speak of them it stays as older servers know it. */
void name_old_and_new(Query *query);
inline void forget_old_and_new([[maybe_unused]] Var *var)
{
#if PG_VERSION_NUM >= 180000
	var->varreturningtype = VAR_RETURNING_DEFAULT;
#endif
}

/*
 * What a view computes, in RETURNING's OLD or NEW: 18's rewriter marks it as NULL where that row does
 * not exist, which SQL cannot say. Afterwards the expression says so itself.
 */
#if PG_VERSION_NUM >= 180000
void spell_out_returning(Query *query);
#else
inline void spell_out_returning(Query *) {}
#endif

/* Whether ALTER TABLE changes the expression of a generated column; added by 17. */
inline bool sets_expression([[maybe_unused]] AlterTableType type)
{
#if PG_VERSION_NUM >= 170000
	return type == AT_SetExpression;
#else
	return false;
#endif
}

/* Whether NOT NULL is a constraint in the catalog; 18 made it one. */
constexpr bool NOT_NULL_HAS_NAMES = PG_VERSION_NUM >= 180000;

/* Whether bytes of the client are there that nobody has looked at. */
inline bool client_input_waits()
{
#if PG_VERSION_NUM >= 170000
	return pq_buffer_remaining_data() > 0;
#else
	return pq_buffer_has_data();
#endif
}

/* A wait set that lives until it is freed; 17 replaced the memory context by a resource owner. */
inline WaitEventSet *create_wait_set(int event_count)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(nullptr, event_count);
#else
	return CreateWaitEventSet(TopMemoryContext, event_count);
#endif
}

/* This backend's number among all processes of the server, from 0; 17 renamed it. */
inline int backend_slot()
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyProc->pgprocno;
#endif
}

/* This process's address for signals of the server (ProcSignal); 17 made it the process number. */
inline int signal_number()
{
#if PG_VERSION_NUM >= 170000
	return MyProcNumber;
#else
	return MyBackendId;
#endif
}

/* Makes an idle process run an empty transaction, as one that is far behind with invalidations
 * does; a busy one does so when it is idle next. */
inline void ask_to_catch_up(int pid, int signal_number)
{
	SendProcSignal(pid, PROCSIG_CATCHUP_INTERRUPT, signal_number);
}

/* Computes a statement's identifier; 16 no longer wants the text. */
inline JumbleState *jumble_query(Query *query, const char *text)
{
#if PG_VERSION_NUM >= 160000
	return JumbleQuery(query);
#else
	return JumbleQuery(query, text);
#endif
}

/*
 * Length of a list of constants that counts as one, 0 for a single constant. 18 takes the elements of
 * IN and ARRAY together; the place of the list is what follows its bracket.
 */
inline int squashed_length([[maybe_unused]] const LocationLen& place)
{
#if PG_VERSION_NUM >= 180000
	return place.squashed ? place.length : 0;
#else
	return 0;
#endif
}

/* Whether the place is a parameter of the statement that keeps its number; 18 lists them, too, and
 * numbers anew where lists of constants are taken together. */
inline bool keeps_number([[maybe_unused]] const JumbleState *jumble,
						 [[maybe_unused]] const LocationLen& place)
{
#if PG_VERSION_NUM >= 180000
	return place.extern_param && !jumble->has_squashed_lists;
#else
	return false;
#endif
}

/* Highest number of a parameter that stays in the text. */
inline int highest_parameter(const JumbleState *jumble)
{
#if PG_VERSION_NUM >= 180000
	return jumble->has_squashed_lists ? 0 : jumble->highest_extern_param_id;
#else
	return jumble->highest_extern_param_id;
#endif
}

/* Where the value of a setting comes from; 16 exports the look-up itself. */
GucSource setting_source(const char *name);
/* What the server knows of a setting, for good where its name has no dot; null: no such setting. */
config_generic *find_setting(const char *name);
/*
 * All settings. Up to 15 that is the server's own array, which costs nothing to look at; from 16 on it
 * is put together and sorted for each call, in CurrentMemoryContext.
 */
std::span<config_generic *const> all_settings();
/*
 * A number that differs when a setting with a dot has come that has a value of its own. Costs little: up
 * to 15 it is how many settings there are; 16 keeps those that are not at their defaults in a list.
 */
uint64 settings_stamp();
/* Whether this is still what the server knows under the name: where it was among all_settings(). */
bool is_setting(const config_generic *record, const char *name, int slot);

/* Number of the current transaction within this backend; 17 moved it into a struct. */
inline LocalTransactionId local_transaction_id()
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

using Walker = bool (*)(Node *node, void *context);
using Mutator = Node *(*) (Node *node, void *context);

/*
 * The tree walkers. Before 16 they take a function without a prototype, which C++ reads as one
 * without arguments; 16 gave the callbacks their real type.
 */
#if PG_VERSION_NUM < 160000
inline bool (*untyped(Walker walker))()
{
	return reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(walker));
}
inline Node *(*untyped(Mutator mutator))()
{
	return reinterpret_cast<Node *(*) ()>(reinterpret_cast<void (*)()>(mutator));
}
#define CIVITAS_CALLBACK(callback) ::civitas::pg::untyped(callback)
#else
#define CIVITAS_CALLBACK(callback) callback
#endif

/* Same for a raw parse tree. */
inline bool walk_raw_children(Node *node, Walker walker, void *context)
{
	return raw_expression_tree_walker(node, CIVITAS_CALLBACK(walker), context);
}
/* Gives a relation (locked exclusively) new, empty storage in this transaction; 16 renamed it. */
inline void set_new_storage(Relation relation)
{
#if PG_VERSION_NUM >= 160000
	RelationSetNewRelfilenumber(relation, relation->rd_rel->relpersistence);
#else
	RelationSetNewRelfilenode(relation, relation->rd_rel->relpersistence);
#endif
}
/* Rebuilds all indexes of a table and of its TOAST table; 17 added the statement. */
inline void rebuild_indexes(Oid relid)
{
	ReindexParams params = {};
#if PG_VERSION_NUM >= 170000
	reindex_relation(nullptr, relid, REINDEX_REL_PROCESS_TOAST, &params);
#else
	reindex_relation(relid, REINDEX_REL_PROCESS_TOAST, &params);
#endif
}
/* Writes a table's size into pg_class in place, as VACUUM does; 18 added a count of frozen pages.
 */
inline void update_relation_statistics(Relation relation, BlockNumber pages, double rows)
{
#if PG_VERSION_NUM >= 180000
	vac_update_relstats(relation, pages, rows, 0, 0, relation->rd_rel->relhasindex,
						InvalidTransactionId, InvalidMultiXactId, nullptr, nullptr, false);
#else
	vac_update_relstats(relation, pages, rows, 0, relation->rd_rel->relhasindex,
						InvalidTransactionId, InvalidMultiXactId, nullptr, nullptr, false);
#endif
}
/*
 * How closely ANALYZE is to look at a column: -1 is the default, 0 not at all. 17 made the
 * catalog's column nullable, and VacAttrStats keep this number in place of a copy of the column.
 */
#if PG_VERSION_NUM >= 170000
inline int statistics_target(Relation relation, Form_pg_attribute attribute)
{
	HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(RelationGetRelid(relation)),
									  Int16GetDatum(attribute->attnum));
	if (!HeapTupleIsValid(tuple))
		return -1;
	bool is_null;
	const Datum target = SysCacheGetAttr(ATTNUM, tuple, Anum_pg_attribute_attstattarget, &is_null);
	ReleaseSysCache(tuple);
	return is_null ? -1 : DatumGetInt16(target);
}
inline void set_analyzed_column(VacAttrStats *stats, Relation relation, Form_pg_attribute attribute)
{
	stats->attstattarget = statistics_target(relation, attribute);
}
#else
inline int statistics_target(Relation, Form_pg_attribute attribute)
{
	return attribute->attstattarget;
}
inline void set_analyzed_column(VacAttrStats *stats, Relation, Form_pg_attribute attribute)
{
	stats->attr = static_cast<Form_pg_attribute>(palloc(ATTRIBUTE_FIXED_PART_SIZE));
	memcpy(stats->attr, attribute, ATTRIBUTE_FIXED_PART_SIZE);
}
#endif
/* Calls walker for each child of an expression or jointree node. */
inline bool walk_children(Node *node, Walker walker, void *context)
{
	return expression_tree_walker(node, CIVITAS_CALLBACK(walker), context);
}
/* Calls walker for each expression, jointree, subquery and CTE of a query. */
inline bool walk_query(Query *query, Walker walker, void *context, int flags = 0)
{
	return query_tree_walker(query, CIVITAS_CALLBACK(walker), context, flags);
}
inline Node *mutate_children(Node *node, Mutator mutator, void *context)
{
	return expression_tree_mutator(node, CIVITAS_CALLBACK(mutator), context);
}
inline Query *mutate_query(Query *query, Mutator mutator, void *context, int flags = 0)
{
	return query_tree_mutator(query, CIVITAS_CALLBACK(mutator), context, flags);
}

/* Walks a plan state tree. Before 16 the walker's parameters were not declared, which C++ reads as
 * none. */
inline bool walk_plan_state(PlanState *state, bool (*walker)(PlanState *, void *), void *context)
{
#if PG_VERSION_NUM >= 160000
	return planstate_tree_walker(state, walker, context);
#else
	return planstate_tree_walker(
		state, reinterpret_cast<bool (*)()>(reinterpret_cast<void *>(walker)), context);
#endif
}

/*
 * The parameters of a hook of ExecutorRun, and the same handed on; 18 dropped execute_once.
 */
#if PG_VERSION_NUM >= 180000
#define CIVITAS_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count
#define CIVITAS_RUN_ARGUMENTS query, direction, count
#else
#define CIVITAS_RUN_PARAMETERS QueryDesc *query, ScanDirection direction, uint64 count, bool once
#define CIVITAS_RUN_ARGUMENTS query, direction, count, once
#endif

/* The rights that a plan which runs asks for with an entry of its range table; null: none. */
inline const Rights *rights_in(const EState *estate, const RangeTblEntry *rte)
{
#if PG_VERSION_NUM >= 160000
	return rights_of(estate->es_rteperminfos, rte);
#else
	return rte;
#endif
}

/* An executor's range table is what was parsed. */
inline void init_range_table(EState *estate, ParseState *state)
{
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, state->p_rtable, state->p_rteperminfos, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
	ExecInitRangeTable(estate, state->p_rtable, state->p_rteperminfos);
#else
	ExecInitRangeTable(estate, state->p_rtable);
#endif
}

/* Opens a relation of the range table by its number, not as one that is written; 18 asks. */
inline Relation open_range_table_relation(EState *estate, Index number)
{
#if PG_VERSION_NUM >= 180000
	return ExecGetRangeTableRelation(estate, number, false);
#else
	return ExecGetRangeTableRelation(estate, number);
#endif
}

/* A row in the current memory context, nothing before it; 18 can leave room there. */
inline MinimalTuple form_minimal_tuple(TupleDesc type, Datum *values, bool *nulls)
{
#if PG_VERSION_NUM >= 180000
	return heap_form_minimal_tuple(type, values, nulls, 0);
#else
	return heap_form_minimal_tuple(type, values, nulls);
#endif
}

/* A relation's columns as names and Vars, without dropped ones; 18 added RETURNING OLD and NEW. */
inline void expand_columns(RangeTblEntry *rte, int number, List **names, List **vars)
{
#if PG_VERSION_NUM >= 180000
	expandRTE(rte, number, 0, VAR_RETURNING_DEFAULT, -1, false, names, vars);
#else
	expandRTE(rte, number, 0, -1, false, names, vars);
#endif
}

/* Whether a kind of node that not all versions have is one that the planner knows
 * (planner/known_nodes.cpp). */
inline bool is_known_newer_node(NodeTag tag)
{
	switch (tag)
	{
#if PG_VERSION_NUM >= 160000
	case T_JsonFormat:
	case T_JsonReturning:
	case T_JsonValueExpr:
	case T_JsonConstructorExpr:
	case T_JsonIsPredicate:
		return true;
#endif
#if PG_VERSION_NUM >= 170000
	case T_JsonExpr:
	case T_JsonBehavior:
	case T_MergeSupportFunc:
	case T_WindowFuncRunCondition:
		return true;
#endif
#if PG_VERSION_NUM >= 180000
	case T_ReturningExpr:
		return true;
#endif
	default:
		return false;
	}
}
/* The same for range table entries. */
inline bool is_known_newer_kind(RTEKind kind)
{
#if PG_VERSION_NUM >= 180000
	return kind == RTE_GROUP;
#else
	return false;
#endif
}

/* The grouped expressions that no other is equal to, nor a constant; 16 leaves the others out. */
inline List *processed_group_clause(const PlannerInfo *root)
{
#if PG_VERSION_NUM >= 160000
	return root->processed_groupClause;
#else
	return root->parse->groupClause;
#endif
}

/* Says that a column is NULL where an outer join finds no row; before 16 nobody wrote that down. */
inline void make_nullable([[maybe_unused]] Var *column, [[maybe_unused]] int join)
{
#if PG_VERSION_NUM >= 160000
	column->varnullingrels = bms_add_member(column->varnullingrels, join);
#endif
}

/* Whether an operator orders values or tells them apart, for any index; 18 looks at more than B-trees. */
inline bool is_comparison(Oid op)
{
#if PG_VERSION_NUM >= 180000
	return get_op_index_interpretation(op) != NIL;
#else
	return get_op_btree_interpretation(op) != NIL;
#endif
}

/*
 * Conditions on window functions that the planner took from the query around, as clauses over them:
 * who computes the windows filters by them. 17 moved them from the window to the function.
 */
List *window_run_conditions(const Query *query, List *target_list);

/*
 * MERGE. 17 added actions for rows that only the target has, RETURNING, and views as targets: the
 * condition of the join is a field of its own, and the jointree's is the one of the target's view.
 */
#if PG_VERSION_NUM >= 170000
inline MergeMatchKind match_kind(const MergeAction *action)
{
	return action->matchKind;
}
inline Node *merge_condition(const Query *query)
{
	return query->mergeJoinCondition;
}
/* Takes the condition out of the statement, which then is none of MERGE. */
inline Node *take_merge_condition(Query *query)
{
	Node *condition = query->mergeJoinCondition;
	query->mergeJoinCondition = nullptr;
	query->mergeTargetRelation = 0;
	return condition;
}
inline Node *merge_target_condition(const Query *query)
{
	return query->jointree->quals;
}
/* Makes the condition that the rows of the target meet a part of the others'. */
inline void set_merge_condition(Query *query, Node *condition)
{
	query->mergeJoinCondition = condition;
	query->jointree->quals = nullptr;
}
inline bool is_merge_action_call(const Node *node)
{
	return IsA(node, MergeSupportFunc);
}
#else
inline MergeMatchKind match_kind(const MergeAction *action)
{
	return action->matched ? MERGE_WHEN_MATCHED : MERGE_WHEN_NOT_MATCHED_BY_TARGET;
}
inline Node *merge_condition(const Query *query)
{
	return query->jointree->quals;
}
inline Node *take_merge_condition(Query *query)
{
	Node *condition = query->jointree->quals;
	query->jointree->quals = nullptr;
	return condition;
}
inline Node *merge_target_condition(const Query *)
{
	return nullptr;
}
inline void set_merge_condition(Query *query, Node *condition)
{
	query->jointree->quals = condition;
}
inline bool is_merge_action_call(const Node *)
{
	return false;
}
#endif

/*
 * Says of all columns of a part of FROM in an expression that the outer join `join` may make them
 * NULL. 16 wants to know of each column.
 */
inline Node *nullable_by(Node *node, Node *side, int join)
{
#if PG_VERSION_NUM >= 160000
	return add_nulling_relids(node, get_relids_in_jointree(side, true, true),
							  bms_make_singleton(join));
#else
	return node;
#endif
}

/*
 * Whether a plan may have a window function that no node of it computes. 18's EXPLAIN (VERBOSE) looks for
 * that node, and fails where there is none.
 */
constexpr bool WINDOWS_MAY_BE_COMPUTED_ELSEWHERE = PG_VERSION_NUM < 180000;

/* The name in ALTER CONSTRAINT; 18 has a node of its own for it. */
inline char **altered_constraint_name(AlterTableCmd *command)
{
#if PG_VERSION_NUM >= 180000
	return &castNode(ATAlterConstraint, command->def)->conname;
#else
	return &castNode(Constraint, command->def)->conname;
#endif
}

/* Runs a query to its end; 18 dropped execute_once. */
inline void run_executor(QueryDesc *description)
{
#if PG_VERSION_NUM >= 180000
	ExecutorRun(description, ForwardScanDirection, 0);
#else
	ExecutorRun(description, ForwardScanDirection, 0, true);
#endif
}

/* Runs a portal to its end; 18 dropped run_once. */
inline void run_portal(Portal portal, bool top_level, DestReceiver *receiver)
{
	QueryCompletion completion;
	InitializeQueryCompletion(&completion);
#if PG_VERSION_NUM >= 180000
	PortalRun(portal, FETCH_ALL, top_level, receiver, receiver, &completion);
#else
	PortalRun(portal, FETCH_ALL, top_level, true, receiver, receiver, &completion);
#endif
}

/* Explains one planned statement; 17 added the planner's memory use. */
inline void explain_one_plan(PlannedStmt *plan, ExplainState *es, const char *sql,
							 ParamListInfo parameters, const instr_time *planning)
{
#if PG_VERSION_NUM >= 170000
	ExplainOnePlan(plan, nullptr, es, sql, parameters, nullptr, planning, nullptr, nullptr);
#else
	ExplainOnePlan(plan, nullptr, es, sql, parameters, nullptr, planning, nullptr);
#endif
}

/* Whether ON CONFLICT DO UPDATE meets a view's conditions; added as the last kind by minor
 * releases. */
inline bool is_view_conflict_check(const WithCheckOption *option)
{
	return option->kind > WCO_RLS_MERGE_DELETE_CHECK;
}

/* Whether the current user owns an object of a catalog, or is a superuser. 16 made the check
 * generic. */
#if PG_VERSION_NUM >= 160000
inline bool owns(Oid catalog, Oid object)
{
	return object_ownercheck(catalog, object, GetUserId());
}
#else
inline bool owns(Oid catalog, Oid object)
{
	switch (catalog)
	{
	case NamespaceRelationId:
		return pg_namespace_ownercheck(object, GetUserId());
	case ProcedureRelationId:
		return pg_proc_ownercheck(object, GetUserId());
	default:
		return pg_class_ownercheck(object, GetUserId());
	}
}
#endif

/* Tables that a subscription writes to; 16 may leave out those that are ready. */
inline List *subscribed_relations(Oid subscription)
{
#if PG_VERSION_NUM >= 160000
	List *states = GetSubscriptionRelations(subscription, false);
#else
	List *states = GetSubscriptionRelations(subscription);
#endif
	List *relations = NIL;
	ListCell *cell;
	foreach (cell, states)
		relations =
			lappend_oid(relations, static_cast<SubscriptionRelState *>(lfirst(cell))->relid);
	return relations;
}

/* Whether the current user may call a function. 16 made the check generic. */
#if PG_VERSION_NUM >= 160000
inline bool may_execute(Oid function)
{
	return object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
}
#else
inline bool may_execute(Oid function)
{
	return pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE) == ACLCHECK_OK;
}
#endif

} // namespace civitas::pg
