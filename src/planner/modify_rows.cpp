/*
 * modify_rows.cpp: UPDATE and DELETE of rows that this node finds.
 *
 * The statement becomes a SELECT of the target's rows, planned like any other: their ctid and
 * distribution column, the new values, and the columns of other tables that RETURNING uses. The
 * leaf scan of the target locks its rows, so under READ COMMITTED it reads their latest versions,
 * and they stay where they are until the second step: UPDATE .. FROM (VALUES ..) WHERE ctid = .. on
 * each shard, in the session that holds the locks. Rows that the conditions over the target alone
 * leave are locked even if a join drops them afterwards. A row found several times is changed once,
 * by the first.
 *
 * How a row is known again: by its ctid; in a partitioned table, by the partition and the ctid;
 * where shards have several placements, which number their rows each for itself, by the primary
 * key, or by all columns where there is none.
 *
 * Rows whose distribution column gets another shard's value move (move_rows.cpp).
 *
 * A local table that is changed from distributed ones goes the same way: a subquery locks its rows,
 * and the changes are a local task. Where the rows must be found before other parts of the
 * statement change them (steps.cpp), that subquery is a step of its own.
 */
#include "row_columns.h"

#include "civitas/deparse/query_template.h"
#include "civitas/pg/columns.h"

CIVITAS_PG_BEGIN
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/typcache.h"
CIVITAS_PG_END

namespace civitas::planner {

/* Adds a column; how the shard's statement refers to it. */
Var *add_column(RowColumns *columns, Expr *expr)
{
	Node *node = reinterpret_cast<Node *>(expr);
	const Oid type = exprType(node);
	if (get_typtype(type) == TYPTYPE_PSEUDO)
		raise_unsupported("The changes need a value of a type that does not travel.");
	int number = 0;
	ListCell *cell;
	foreach (cell, columns->select)
		if (equal(lfirst_node(TargetEntry, cell)->expr, expr))
			number = foreach_current_index(cell) + 1;
	if (number == 0)
	{
		number = list_length(columns->select) + 1;
		char *name = psprintf("c%d", number);
		TargetEntry *entry = makeTargetEntry(static_cast<Expr *>(copyObjectImpl(expr)),
											 static_cast<AttrNumber>(number), name, false);
		columns->select = lappend(columns->select, entry);
		columns->names = lappend(columns->names, makeString(name));
		columns->types = lappend_oid(columns->types, type);
	}
	return makeVar(ROWS, static_cast<AttrNumber>(number), type, exprTypmod(node),
				   exprCollation(node), 0);
}

namespace {

/* What a row was before it left its shard, for RETURNING where it arrives. */
Node *found_value(RowColumns *columns, const Var *old)
{
	if (old->varattno == 0)
		raise_unsupported(
			"RETURNING gives the whole old row of an UPDATE that moves rows to other shards.",
			"Name its columns.");
	Var *own = static_cast<Var *>(copyObjectImpl(old));
	pg::forget_old_and_new(own);
	return reinterpret_cast<Node *>(add_column(columns, reinterpret_cast<Expr *>(own)));
}

/* RETURNING: columns of other tables come with the rows, the target's are the shard's. */
Node *returning_mutator(Node *node, void *context)
{
	RowColumns *columns = static_cast<RowColumns *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var))
	{
		Var *var = castNode(Var, node);
		if (static_cast<Index>(var->varno) != columns->target || var->varattno > columns->own)
			return reinterpret_cast<Node *>(add_column(columns, reinterpret_cast<Expr *>(var)));
		if (columns->leaving && pg::is_old(var))
			return found_value(columns, var);
		Var *own = static_cast<Var *>(copyObjectImpl(var));
		own->varno = TARGET;
		own->varnosyn = 0;
		own->varattnosyn = 0;
		return reinterpret_cast<Node *>(own);
	}
	return pg::mutate_children(node, returning_mutator, context);
}

} // namespace

RangeTblEntry *values_entry(const RowColumns& columns)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_VALUES;
	rte->inFromCl = true;
	rte->alias = makeAlias(FOUND_ROWS, static_cast<List *>(copyObjectImpl(columns.names)));
	rte->eref = makeAlias(FOUND_ROWS, static_cast<List *>(copyObjectImpl(columns.names)));
	List *markers = NIL;
	ListCell *cell;
	foreach (cell, columns.types)
	{
		Param *marker = makeNode(Param);
		marker->paramkind = PARAM_EXTERN;
		marker->paramid = deparse::VALUES_MARKER + foreach_current_index(cell);
		marker->paramtype = lfirst_oid(cell);
		marker->paramtypmod = -1;
		marker->paramcollid = get_typcollation(lfirst_oid(cell));
		marker->location = -1;
		markers = lappend(markers, marker);
		rte->coltypes = lappend_oid(rte->coltypes, marker->paramtype);
		rte->coltypmods = lappend_int(rte->coltypmods, -1);
		rte->colcollations = lappend_oid(rte->colcollations, marker->paramcollid);
	}
	rte->values_lists = list_make1(markers);
	return rte;
}

namespace {

RangeTblRef *reference(int index)
{
	RangeTblRef *ref = makeNode(RangeTblRef);
	ref->rtindex = index;
	return ref;
}

/* --- how a row is known again ---------------------------------------------------------------- */

enum class Identity
{
	Ctid,
	PartitionAndCtid,
	Key,
	AllColumns
};

bool has_replicas(const catalog::Table *table)
{
	for (int index = 0; table && index < table->shard_count; index++)
		if (table->placements_of(index).size() != 1)
			return true;
	return false;
}

/* Column numbers of the primary key; empty where there is none. */
Bitmapset *primary_key(Oid relid)
{
	Relation relation = RelationIdGetRelation(relid);
	if (relation == nullptr)
		return nullptr;
	Bitmapset *result = nullptr;
	Bitmapset *key = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	int member = -1;
	while ((member = bms_next_member(key, member)) >= 0)
		result = bms_add_member(result, member + FirstLowInvalidHeapAttributeNumber);
	RelationClose(relation);
	return result;
}

Bitmapset *all_columns(const RangeTblEntry *rte)
{
	Bitmapset *result = nullptr;
	for (AttrNumber attno = 1; attno <= list_length(rte->eref->colnames); attno++)
		if (pg::column_name(rte->relid, attno))
			result = bms_add_member(result, attno);
	return result;
}

Identity identity_of(const RangeTblEntry *rte, const catalog::Table *target)
{
	if (has_replicas(target))
		return primary_key(rte->relid) ? Identity::Key : Identity::AllColumns;
	if (get_rel_relkind(rte->relid) == RELKIND_PARTITIONED_TABLE || has_subclass(rte->relid))
		return Identity::PartitionAndCtid;
	return Identity::Ctid;
}

/* A comparison of the shard's column with the one that was found, where NULLs are equal. */
Expr *same_value(Expr *left, Expr *right)
{
	const TypeCacheEntry *entry =
		lookup_type_cache(exprType(reinterpret_cast<Node *>(left)), TYPECACHE_EQ_OPR);
	Oid equality = entry->eq_opr;
	Oid collation = exprCollation(reinterpret_cast<Node *>(left));
	if (!OidIsValid(equality))
	{
		const auto as_text = [](Expr *value) {
			CoerceViaIO *text = makeNode(CoerceViaIO);
			text->arg = value;
			text->resulttype = TEXTOID;
			text->resultcollid = DEFAULT_COLLATION_OID;
			text->coerceformat = COERCE_EXPLICIT_CAST;
			text->location = -1;
			return reinterpret_cast<Expr *>(text);
		};
		left = as_text(left);
		right = as_text(right);
		equality = TextEqualOperator;
		collation = DEFAULT_COLLATION_OID;
	}
	DistinctExpr *distinct = makeNode(DistinctExpr);
	distinct->opno = equality;
	distinct->opfuncid = get_opcode(equality);
	distinct->opresulttype = BOOLOID;
	distinct->inputcollid = collation;
	distinct->args = list_make2(left, right);
	distinct->location = -1;
	return make_notclause(reinterpret_cast<Expr *>(distinct));
}

} // namespace

Var *target_column(int varno, Oid relid, AttrNumber attno)
{
	if (attno == SelfItemPointerAttributeNumber)
		return makeVar(varno, attno, TIDOID, -1, InvalidOid, 0);
	if (attno == TableOidAttributeNumber)
		return makeVar(varno, attno, OIDOID, -1, InvalidOid, 0);
	Oid type;
	int32 typmod;
	Oid collation;
	get_atttypetypmodcoll(relid, attno, &type, &typmod, &collation);
	return makeVar(varno, attno, type, typmod, collation, 0);
}

namespace {

/* Adds what the row is known by to the columns; the condition by which the shard finds it. The ctid
 * is always the first column. */
Expr *add_identity(RowColumns *columns, const RangeTblEntry *rte, const catalog::Table *target)
{
	const Identity identity = identity_of(rte, target);
	const int varno = static_cast<int>(columns->target);
	const auto found = [&](AttrNumber attno) {
		return reinterpret_cast<Expr *>(
			add_column(columns, reinterpret_cast<Expr *>(target_column(varno, rte->relid, attno))));
	};
	const auto own = [&](AttrNumber attno) {
		return reinterpret_cast<Expr *>(target_column(TARGET, rte->relid, attno));
	};
	Expr *ctid = found(SelfItemPointerAttributeNumber);
	List *conditions = NIL;
	if (identity == Identity::Ctid || identity == Identity::PartitionAndCtid)
		conditions = list_make1(make_opclause(TIDEqualOperator, BOOLOID, false,
											  own(SelfItemPointerAttributeNumber), ctid, InvalidOid,
											  InvalidOid));
	if (identity == Identity::PartitionAndCtid)
		conditions = lappend(conditions,
							 make_opclause(lookup_type_cache(OIDOID, TYPECACHE_EQ_OPR)->eq_opr,
										   BOOLOID, false, own(TableOidAttributeNumber),
										   found(TableOidAttributeNumber), InvalidOid, InvalidOid));
	Bitmapset *key = nullptr;
	if (identity == Identity::Key)
		key = primary_key(rte->relid);
	else if (identity == Identity::AllColumns)
		key = all_columns(rte);
	int attno = -1;
	while ((attno = bms_next_member(key, attno)) >= 0)
	{
		Expr *left = own(static_cast<AttrNumber>(attno));
		Expr *right = found(static_cast<AttrNumber>(attno));
		const Oid type = exprType(reinterpret_cast<Node *>(left));
		/* A primary key is never NULL, and its index wants its operator. */
		Expr *same = identity == Identity::Key
						 ? make_opclause(lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr, BOOLOID,
										 false, left, right, InvalidOid,
										 exprCollation(reinterpret_cast<Node *>(left)))
						 : same_value(left, right);
		conditions = lappend(conditions, same);
	}
	return make_ands_explicit(conditions);
}

/* Whether an UPDATE sets what its rows are known by. */
bool sets_identity(Query *query, const RangeTblEntry *rte, const catalog::Table *target)
{
	const Identity identity = identity_of(rte, target);
	if (query->commandType != CMD_UPDATE || identity == Identity::Ctid ||
		identity == Identity::PartitionAndCtid)
		return false;
	if (identity == Identity::AllColumns)
		return true;
	Bitmapset *key = primary_key(rte->relid);
	ListCell *cell;
	foreach (cell, query->targetList)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (!entry->resjunk && bms_is_member(entry->resno, key))
			return true;
	}
	return false;
}

/* UPDATE target SET .. FROM (VALUES ..) WHERE target.ctid = .. RETURNING ..; its assignments and
 * VALUES are added when parameters have been taken out. */
Query *shard_statement(Query *query, const RowColumns& columns, Expr *same, List *returning)
{
	RangeTblEntry *target = static_cast<RangeTblEntry *>(
		copyObjectImpl(rt_fetch(query->resultRelation, query->rtable)));
	target->securityQuals = NIL;
	target->inFromCl = false;
	target->inh = true;
	Query *shipped = makeNode(Query);
	shipped->commandType = query->commandType;
	shipped->canSetTag = true;
	shipped->resultRelation = TARGET;
	RangeTblEntry *rows = values_entry(columns);
	rows->values_lists = NIL; /* set when the parameters are taken out */
	shipped->rtable = list_make2(target, rows);
	shipped->jointree = makeFromExpr(list_make2(reference(TARGET), reference(ROWS)),
									 reinterpret_cast<Node *>(same));
	shipped->returningList = returning;
	return shipped;
}

} // namespace

List *row_columns(const RangeTblEntry *rte, int varno)
{
	List *result = NIL;
	const int count = list_length(rte->eref->colnames);
	for (AttrNumber attno = 1; attno <= count + 2; attno++)
	{
		/* The last two are the ctid and the tableoid. */
		Expr *expr;
		char *name = attno > count ? nullptr : pg::column_name(rte->relid, attno);
		if (attno > count)
			expr = reinterpret_cast<Expr *>(target_column(
				varno, rte->relid,
				attno == count + 1 ? SelfItemPointerAttributeNumber : TableOidAttributeNumber));
		else if (name == nullptr)
			expr = reinterpret_cast<Expr *>(makeNullConst(INT4OID, -1, InvalidOid));
		else
			expr = reinterpret_cast<Expr *>(target_column(varno, rte->relid, attno));
		name = name ? name : psprintf("column %d", attno);
		result = lappend(result, makeTargetEntry(expr, attno, name, false));
	}
	return result;
}

Node *row_value(const Var *whole, Oid relid, int count)
{
	RowExpr *row = makeNode(RowExpr);
	row->row_typeid = whole->vartype;
	row->row_format = COERCE_IMPLICIT_CAST;
	row->location = -1;
	for (AttrNumber attno = 1; attno <= count; attno++)
	{
		if (pg::column_name(relid, attno) == nullptr)
		{
			row->args = lappend(row->args, makeNullConst(INT4OID, -1, InvalidOid));
			continue;
		}
		Var *column = target_column(whole->varno, relid, attno);
		column->varlevelsup = whole->varlevelsup;
		row->args = lappend(row->args, column);
	}
	return reinterpret_cast<Node *>(row);
}

namespace {

/*
 * A local target becomes a subquery that locks its rows: there PostgreSQL's locking has nothing to
 * do with the other tables, whose rows it could not look up again.
 */
void lock_in_subquery(Query *select, RowMarkClause *mark)
{
	const Index index = mark->rti;
	RangeTblEntry *rte = rt_fetch(index, select->rtable);
	Query *inner = makeNode(Query);
	inner->commandType = CMD_SELECT;
	inner->canSetTag = true;
	RangeTblEntry *table = static_cast<RangeTblEntry *>(copyObjectImpl(rte));
	table->inFromCl = true;
	pg::give_rights(inner, table, pg::rights_of(select, rte));
	inner->rtable = list_make1(table);
	inner->jointree = makeFromExpr(list_make1(reference(1)), nullptr);
	select->rowMarks = list_delete_ptr(select->rowMarks, mark);
	select->hasForUpdate = select->rowMarks != NIL;
	mark->rti = 1;
	inner->rowMarks = list_make1(mark);
	inner->hasForUpdate = true;
	inner->hasRowSecurity = select->hasRowSecurity;

	inner->targetList = row_columns(rte, 1);
	List *names = NIL;
	ListCell *cell;
	foreach (cell, inner->targetList)
		names = lappend(names, makeString(lfirst_node(TargetEntry, cell)->resname));
	RangeTblEntry *outer = makeNode(RangeTblEntry);
	outer->rtekind = RTE_SUBQUERY;
	outer->subquery = inner;
	outer->inFromCl = true;
	outer->eref = makeAlias(rte->eref->aliasname, names);
	*rte = *outer;
}

struct SystemColumns
{
	Index target;
	Oid relid;
	int count; /* columns of the table: the ctid and the tableoid come after them */
	int depth;
};

/* Columns of the local target that its subquery does not have as such. */
Node *subquery_columns(Node *node, void *context)
{
	SystemColumns *state = static_cast<SystemColumns *>(context);
	if (node == nullptr)
		return nullptr;
	if (IsA(node, Var))
	{
		Var *var = static_cast<Var *>(copyObjectImpl(node));
		if (static_cast<Index>(var->varno) != state->target ||
			static_cast<int>(var->varlevelsup) != state->depth || var->varattno > 0)
			return reinterpret_cast<Node *>(var);
		if (var->varattno == InvalidAttrNumber)
			return row_value(var, state->relid, state->count);
		if (var->varattno != SelfItemPointerAttributeNumber &&
			var->varattno != TableOidAttributeNumber)
			raise_unsupported("System columns other than ctid and tableoid are read of a local "
							  "table whose rows are locked, or of a table that is changed twice.");
		var->varattno = static_cast<AttrNumber>(
			state->count + (var->varattno == SelfItemPointerAttributeNumber ? 1 : 2));
		var->varattnosyn = var->varattno;
		return reinterpret_cast<Node *>(var);
	}
	if (IsA(node, Query))
	{
		state->depth++;
		Node *result = reinterpret_cast<Node *>(
			pg::mutate_query(castNode(Query, node), subquery_columns, context));
		state->depth--;
		return result;
	}
	return pg::mutate_children(node, subquery_columns, context);
}

} // namespace

void lock_rows_first(Query *select, RowMarkClause *mark)
{
	const RangeTblEntry *rte = rt_fetch(mark->rti, select->rtable);
	SystemColumns state = {mark->rti, rte->relid, list_length(rte->eref->colnames), 0};
	List *marks = select->rowMarks;
	*select = *pg::mutate_query(select, subquery_columns, &state);
	select->rowMarks = marks;
	lock_in_subquery(select, mark);
}

namespace {

/* The SELECT that finds and locks the rows. */
Query *finding_select(Query *query, List *target_list, bool local, bool moves)
{
	Query *select = static_cast<Query *>(copyObjectImpl(query));
	const Index index = static_cast<Index>(select->resultRelation);
	select->commandType = CMD_SELECT;
	select->resultRelation = 0;
	select->returningList = NIL;
	select->override = OVERRIDING_NOT_SET;
	select->canSetTag = true;
	select->targetList = target_list;
	RangeTblEntry *rte = rt_fetch(index, select->rtable);
	rte->inFromCl = true;
	RowMarkClause *mark = makeNode(RowMarkClause);
	mark->rti = index;
	mark->strength = query->commandType == CMD_DELETE || moves ? LCS_FORUPDATE : LCS_FORNOKEYUPDATE;
	mark->waitPolicy = LockWaitBlock;
	select->rowMarks = lappend(select->rowMarks, mark);
	select->hasForUpdate = true;
	if (local)
		lock_rows_first(select, llast_node(RowMarkClause, select->rowMarks));
	return select;
}

/* The rows of the target come from a store that is filled before. */
void take_early_rows(Query *select, Index index, EarlyRows *early)
{
	RangeTblEntry *rte = rt_fetch(index, select->rtable);
	early->query = rte->subquery;
	rte->rtekind = RTE_NAMEDTUPLESTORE;
	pg::forget_rights(rte);
	rte->subquery = nullptr;
	rte->inh = false;
	name_store(rte, early->store, early->columns ? early->columns : early->query->targetList);
}

bool rows_may_repeat(const Query *query)
{
	return list_length(query->jointree->fromlist) != 1 ||
		   !IsA(linitial(query->jointree->fromlist), RangeTblRef);
}

void check_modify_rows(Query *query, const Facts& facts, const catalog::Table *target)
{
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	const char kind = get_rel_relkind(rte->relid);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		raise_unsupported("A foreign table cannot be changed from rows of other nodes.");
	if (identity_of(rte, target) == Identity::AllColumns &&
		(facts.volatile_functions || (query->commandType == CMD_UPDATE && rows_may_repeat(query))))
		raise_unsupported(
			psprintf("The shards of table \"%s\" have several placements, and it has no "
					 "primary key by which its rows could be told apart.",
					 get_rel_name(rte->relid)),
			"Add a primary key.");
}

/* Assignments, as columns of the rows that are found; subqueries behind SET (a, b) = (SELECT ..)
 * come as junk. */
List *add_assignments(RowColumns *columns, Query *query, List **junk)
{
	List *assignments = NIL;
	ListCell *cell;
	foreach (cell, query->targetList)
	{
		TargetEntry *entry = static_cast<TargetEntry *>(copyObjectImpl(lfirst(cell)));
		if (entry->resjunk)
		{
			*junk = lappend(*junk, entry);
			continue;
		}
		if (query->commandType != CMD_UPDATE)
			continue;
		Node *value = with_sequences(reinterpret_cast<Node *>(entry->expr));
		entry->expr =
			reinterpret_cast<Expr *>(add_column(columns, reinterpret_cast<Expr *>(value)));
		assignments = lappend(assignments, entry);
	}
	return assignments;
}

} // namespace

PlannedStmt *plan_modify_rows(Query *query, const Facts& facts, const catalog::Table *target,
							  const char *text, int options, ParamListInfo params,
							  const char *reason, EarlyRows *early)
{
	check_modify_rows(query, facts, target);
	const RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	if (early && early->columns == NIL && has_replicas(target))
		raise_unsupported(psprintf("The statement changes table \"%s\", whose shards have several "
								   "placements, more than once.",
								   get_rel_name(rte->relid)),
						  "Use several statements in one transaction.");
	plan::RemoteQuery *remote = plan::make_remote_query();
	const bool moves = target && sets_key(query, *target);
	RowColumns columns = {static_cast<Index>(query->resultRelation), NIL,  NIL, NIL,
						  list_length(rte->eref->colnames),			 moves};
	Expr *same = add_identity(&columns, rte, target);
	if (target && target->distribution_attno)
		remote->distribution_position =
			add_column(&columns,
					   reinterpret_cast<Expr *>(target_column(query->resultRelation, rte->relid,
															  target->distribution_attno)))
				->varattno -
			1;

	List *junk = NIL;
	List *assignments = add_assignments(&columns, query, &junk);
	const Moves moved = moves ? prepare_moves(&columns, assignments, rte) : Moves{};
	List *returning =
		castNode(List, returning_mutator(reinterpret_cast<Node *>(query->returningList), &columns));

	Parameters parameters;
	Query *shipped = castNode(Query, extract_parameters(reinterpret_cast<Node *>(shard_statement(
															query, columns, same, returning)),
														&parameters));
	shipped->targetList = assignments;
	rt_fetch(ROWS, shipped->rtable)->values_lists = values_entry(columns)->values_lists;
	remote->parameter_types = parameters.types;
	remote->insert_columns = columns.names;
	remote->insert_types = columns.types;
	remote->read_only = false;
	remote->rows_repeat = rows_may_repeat(query) || early;
	remote->tableoid_position = identity_of(rte, target) == Identity::PartitionAndCtid ? 1 : -1;
	remote->rows_at_once = sets_identity(query, rte, target);
	remote->anchor = target ? target->relid : InvalidOid;
	const bool reference = target && target->kind == catalog::TableKind::Reference;
	remote->target = reference ? plan::Target::AllReplicas : plan::Target::ShardGroups;
	remote->pruning = target && target->kind == catalog::TableKind::Hash ? plan::Pruning::Routed
																		 : plan::Pruning::All;
	remote->reason = pstrdup(reason);
	if (moves)
		plan_moves(remote, shipped, columns, *target, moved);
	const deparse::QueryTemplate written = deparse::make_query_template(shipped);
	remote->pieces = written.pieces;
	remote->holes = written.holes;

	ListCell *cell;
	foreach (cell, junk)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		entry->resno = static_cast<AttrNumber>(list_length(columns.select) + 1);
		columns.select = lappend(columns.select, entry);
	}
	Query *select = finding_select(query, columns.select, target == nullptr || early, moves);
	if (early)
		take_early_rows(select, static_cast<Index>(query->resultRelation), early);
	Facts found = facts;
	found.locks = true;
	found.local_writes = false;
	PlannedStmt *statement = plan_general(select, found, text, options, params, reason);
	Facts own = facts;
	own.range_tables = own.rights = NIL;
	add_range_tables(statement, query, own);
	statement = write_rows(statement, query, remote, parameters.exprs, rte->relid);
	complete_moves(remote);
	return statement;
}

} // namespace civitas::planner
