/*
 * move_rows.cpp: UPDATE of the distribution column, for the rows that change their shard.
 *
 * The rows are found and locked as in modify_rows.cpp, with all of their columns. Those whose new
 * value belongs to another shard are deleted where they are, and what that returns is inserted
 * where they belong:
 *
 *     DELETE FROM shard USING (VALUES ..) found_rows WHERE ctid = .. RETURNING found_rows.*
 *     WITH found_rows AS (VALUES ..) INSERT INTO shard SELECT .. FROM found_rows RETURNING ..
 *
 * Both run in the session that has the rows locked, and so in the name of who updates: who moves
 * rows needs the rights to delete and insert, too.
 *
 * A row that is gone meanwhile, changed by an earlier part of the statement, arrives nowhere. The
 * columns of other tables that RETURNING reads are in found_rows, too; there the rows are inserted
 * one by one, so that it has one row.
 *
 * To foreign keys this is an update. What may not happen to keys that are referenced is the same
 * for both, but a key with ON DELETE CASCADE would take the referencing rows along: there must be
 * none, and the DELETE says so first. To other transactions the row has moved, too
 * (executor/left_rows.cpp).
 */
#include "row_columns.h"

#include "civitas/deparse/query_template.h"
#include "civitas/pg/columns.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"
CIVITAS_PG_END

#include "civitas/pg/str.h"

namespace civitas::planner {

namespace {

Var *row_column(const RowColumns& columns, int varno, int index)
{
	const Oid type = list_nth_oid(columns.types, index);
	return makeVar(varno, static_cast<AttrNumber>(index + 1), type, -1, get_typcollation(type), 0);
}

/* Every column of the rows. */
List *all_row_columns(const RowColumns& columns, int varno)
{
	List *result = NIL;
	for (int index = 0; index < list_length(columns.names); index++)
		result = lappend(
			result, makeTargetEntry(reinterpret_cast<Expr *>(row_column(columns, varno, index)),
									static_cast<AttrNumber>(index + 1),
									pstrdup(strVal(list_nth(columns.names, index))), false));
	return result;
}

RangeTblRef *reference(int index)
{
	RangeTblRef *ref = makeNode(RangeTblRef);
	ref->rtindex = index;
	return ref;
}

/* --- keys that are referenced ----------------------------------------------------------------- */

/* A foreign key that references the table. */
struct ReferencingKey
{
	char *name;
	Oid referencing;
	int count;
	AttrNumber columns[INDEX_MAX_KEYS];
	AttrNumber referenced[INDEX_MAX_KEYS];
	Oid operators[INDEX_MAX_KEYS];
};

bool read_key(Oid constraint, Oid referenced, ReferencingKey *key)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple))
		return false;
	const auto *form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
	const bool takes_along = form->confrelid == referenced && !OidIsValid(form->conparentid) &&
							 (form->confdeltype == FKCONSTR_ACTION_CASCADE ||
							  form->confdeltype == FKCONSTR_ACTION_SETNULL ||
							  form->confdeltype == FKCONSTR_ACTION_SETDEFAULT);
	key->name = pstrdup(NameStr(form->conname));
	key->referencing = form->conrelid;
	DeconstructFkConstraintRow(tuple, &key->count, key->columns, key->referenced, key->operators,
							   nullptr, nullptr, nullptr, nullptr);
	ReleaseSysCache(tuple);
	return takes_along;
}

RangeTblEntry *table_entry(Oid relid)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_RELATION;
	rte->relid = relid;
	rte->relkind = get_rel_relkind(relid);
	rte->rellockmode = AccessShareLock;
	rte->inh = true;
	rte->inFromCl = true;
	Relation relation = table_open(relid, AccessShareLock);
	List *names = NIL;
	for (int i = 0; i < RelationGetNumberOfAttributes(relation); i++)
	{
		const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(relation), i);
		names = lappend(
			names, makeString(pstrdup(attribute->attisdropped ? "" : NameStr(attribute->attname))));
	}
	rte->eref = makeAlias(RelationGetRelationName(relation), names);
	table_close(relation, NoLock);
	return rte;
}

/* EXISTS (SELECT FROM the referencing table WHERE its columns are the row's old key); the old key
 * as columns of the rows. */
Expr *is_referenced(RowColumns *columns, Oid relid, const ReferencingKey& key, List **old_key)
{
	Query *query = makeNode(Query);
	query->commandType = CMD_SELECT;
	query->rtable = list_make1(table_entry(key.referencing));
	List *conditions = NIL;
	for (int i = 0; i < key.count; i++)
	{
		Var *referencing = target_column(1, key.referencing, key.columns[i]);
		Var *old =
			add_column(columns, reinterpret_cast<Expr *>(target_column(
									static_cast<int>(columns->target), relid, key.referenced[i])));
		*old_key = lappend(*old_key, copyObjectImpl(old));
		old->varlevelsup = 1;
		conditions = lappend(conditions, make_opclause(key.operators[i], BOOLOID, false,
													   reinterpret_cast<Expr *>(old),
													   reinterpret_cast<Expr *>(referencing),
													   InvalidOid, old->varcollid));
	}
	query->jointree = makeFromExpr(list_make1(reference(1)),
								   reinterpret_cast<Node *>(make_ands_explicit(conditions)));
	SubLink *exists = makeNode(SubLink);
	exists->subLinkType = EXISTS_SUBLINK;
	exists->subselect = reinterpret_cast<Node *>(query);
	exists->location = -1;
	return reinterpret_cast<Expr *>(exists);
}

/* citus_internal.unreferenced(referenced, table, constraint, referencing, columns, values): true,
 * or the error. */
Expr *unreferenced(RowColumns *columns, Oid relid, const ReferencingKey& key)
{
	List *old_key = NIL;
	Expr *referenced = is_referenced(columns, relid, key, &old_key);
	ArrayExpr *values = makeNode(ArrayExpr);
	values->array_typeid = TEXTARRAYOID;
	values->array_collid = DEFAULT_COLLATION_OID;
	values->element_typeid = TEXTOID;
	values->location = -1;
	pg::Str names;
	ListCell *cell;
	foreach (cell, old_key)
	{
		const int index = foreach_current_index(cell);
		names.raw(index > 0 ? ", " : "").raw(get_attname(relid, key.referenced[index], false));
		CoerceViaIO *text = makeNode(CoerceViaIO);
		text->arg = static_cast<Expr *>(lfirst(cell));
		text->resulttype = TEXTOID;
		text->resultcollid = DEFAULT_COLLATION_OID;
		text->coerceformat = COERCE_EXPLICIT_CAST;
		text->location = -1;
		values->elements = lappend(values->elements, text);
	}
	Oid types[] = {BOOLOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID};
	const Oid function = LookupFuncName(
		list_make2(makeString(pstrdup("citus_internal")), makeString(pstrdup("unreferenced"))), 6,
		types, false);
	List *arguments =
		list_make5(referenced, text_constant(get_rel_name(relid)), text_constant(key.name),
				   text_constant(get_rel_name(key.referencing)), text_constant(names.c_str()));
	return reinterpret_cast<Expr *>(makeFuncExpr(function, BOOLOID, lappend(arguments, values),
												 InvalidOid, DEFAULT_COLLATION_OID,
												 COERCE_EXPLICIT_CALL));
}

/* A condition for every foreign key whose action on DELETE would take the referencing rows along.
 */
void add_guards(RowColumns *columns, Oid relid, Moves *moves)
{
	Relation relation = table_open(relid, NoLock);
	const TriggerDesc *triggers = relation->trigdesc;
	List *seen = NIL;
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++)
	{
		const Trigger& trigger = triggers->triggers[i];
		ReferencingKey key;
		if (!trigger.tgisinternal || RI_FKey_trigger_type(trigger.tgfoid) != RI_TRIGGER_PK ||
			list_member_oid(seen, trigger.tgconstraint) ||
			!read_key(trigger.tgconstraint, relid, &key))
			continue;
		seen = lappend_oid(seen, trigger.tgconstraint);
		moves->guards = lappend(moves->guards, unreferenced(columns, relid, key));
		moves->referencing = list_append_unique_oid(moves->referencing, key.referencing);
	}
	table_close(relation, NoLock);
}

List *arriving_row(RowColumns *columns, List *assignments, const RangeTblEntry *rte)
{
	List *result = NIL;
	for (AttrNumber attno = 1; attno <= list_length(rte->eref->colnames); attno++)
	{
		const char *name = pg::column_name(rte->relid, attno);
		if (name == nullptr || get_attgenerated(rte->relid, attno) != '\0')
			continue;
		Expr *value = nullptr;
		ListCell *cell;
		foreach (cell, assignments)
			if (lfirst_node(TargetEntry, cell)->resno == attno)
				value = lfirst_node(TargetEntry, cell)->expr;
		if (value == nullptr)
			value = reinterpret_cast<Expr *>(
				add_column(columns, reinterpret_cast<Expr *>(target_column(
										static_cast<int>(columns->target), rte->relid, attno))));
		result = lappend(result, makeTargetEntry(static_cast<Expr *>(copyObjectImpl(value)), attno,
												 pstrdup(name), false));
	}
	return result;
}

} // namespace

Moves prepare_moves(RowColumns *columns, List *assignments, const RangeTblEntry *rte)
{
	Moves moves = {arriving_row(columns, assignments, rte), NIL, NIL};
	add_guards(columns, rte->relid, &moves);
	return moves;
}

namespace {

/* --- the statements --------------------------------------------------------------------------- */

/* The first column is the ctid of the row that was found: it comes back through a function that
 * marks the row as one that has moved. */
void mark_left_rows(Oid relid, TargetEntry *entry)
{
	Expr *shard = reinterpret_cast<Expr *>(target_column(TARGET, relid, TableOidAttributeNumber));
	Expr *row =
		reinterpret_cast<Expr *>(target_column(TARGET, relid, SelfItemPointerAttributeNumber));
	entry->expr = reinterpret_cast<Expr *>(
		makeFuncExpr(deparse::row_left_function(), TIDOID, list_make3(shard, row, entry->expr),
					 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
}

Query *leaving_statement(const Query *update, const RowColumns& columns, const Moves& moves)
{
	Query *query = static_cast<Query *>(copyObjectImpl(update));
	query->commandType = CMD_DELETE;
	query->targetList = NIL;
	query->returningList = all_row_columns(columns, ROWS);
	mark_left_rows(rt_fetch(TARGET, query->rtable)->relid,
				   linitial_node(TargetEntry, query->returningList));
	if (moves.guards != NIL)
	{
		query->jointree->quals = reinterpret_cast<Node *>(
			make_ands_explicit(lcons(query->jointree->quals, list_copy(moves.guards))));
		query->hasSubLinks = true;
	}
	return query;
}

RangeTblEntry *rows_by_name(const RowColumns& columns, int levels_up)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	rte->rtekind = RTE_CTE;
	rte->ctename = pstrdup(FOUND_ROWS);
	rte->ctelevelsup = static_cast<Index>(levels_up);
	rte->eref = makeAlias(FOUND_ROWS, static_cast<List *>(copyObjectImpl(columns.names)));
	rte->inFromCl = true;
	const RangeTblEntry *values = values_entry(columns);
	rte->coltypes = values->coltypes;
	rte->coltypmods = values->coltypmods;
	rte->colcollations = values->colcollations;
	return rte;
}

/* SELECT of columns of the rows. */
Query *select_rows(RangeTblEntry *rows, List *target_list)
{
	Query *query = makeNode(Query);
	query->commandType = CMD_SELECT;
	query->rtable = list_make1(rows);
	query->jointree = makeFromExpr(list_make1(reference(1)), nullptr);
	query->targetList = target_list;
	return query;
}

/* WITH found_rows AS (VALUES ..) */
CommonTableExpr *rows_in_with(const RowColumns& columns)
{
	RangeTblEntry *values = values_entry(columns);
	CommonTableExpr *cte = makeNode(CommonTableExpr);
	cte->ctename = pstrdup(FOUND_ROWS);
	cte->aliascolnames = static_cast<List *>(copyObjectImpl(columns.names));
	cte->ctecolnames = static_cast<List *>(copyObjectImpl(columns.names));
	cte->ctecoltypes = values->coltypes;
	cte->ctecoltypmods = values->coltypmods;
	cte->ctecolcollations = values->colcollations;
	cte->ctematerialized = CTEMaterializeDefault;
	cte->ctequery = reinterpret_cast<Node *>(select_rows(values, all_row_columns(columns, 1)));
	cte->cterefcount = 1;
	cte->location = -1;
	return cte;
}

struct Returned
{
	const RowColumns *columns;
	bool reads_row;
};

/* RETURNING of an INSERT sees its table only: the other columns are looked up. */
Node *look_up_row(Node *node, void *context)
{
	Returned *state = static_cast<Returned *>(context);
	if (node == nullptr)
		return nullptr;
	if (!IsA(node, Var) || castNode(Var, node)->varno != ROWS)
		return pg::mutate_children(node, look_up_row, context);
	state->reads_row = true;
	Var *column = static_cast<Var *>(copyObjectImpl(node));
	column->varno = 1;
	column->varnosyn = 0;
	SubLink *look_up = makeNode(SubLink);
	look_up->subLinkType = EXPR_SUBLINK;
	look_up->subselect = reinterpret_cast<Node *>(select_rows(
		rows_by_name(*state->columns, 1),
		list_make1(makeTargetEntry(reinterpret_cast<Expr *>(column), 1, pstrdup("value"), false))));
	look_up->location = -1;
	return reinterpret_cast<Node *>(look_up);
}

Query *arriving_statement(const Query *update, const RowColumns& columns, const Moves& moves,
						  bool *reads_row)
{
	const int SOURCE = ROWS;
	Query *query = makeNode(Query);
	query->commandType = CMD_INSERT;
	query->canSetTag = true;
	query->resultRelation = TARGET;
	RangeTblEntry *target =
		static_cast<RangeTblEntry *>(copyObjectImpl(rt_fetch(TARGET, update->rtable)));
	List *values = NIL;
	List *names = NIL;
	ListCell *cell;
	foreach (cell, moves.arriving)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		const AttrNumber number = static_cast<AttrNumber>(foreach_current_index(cell) + 1);
		Var *value = static_cast<Var *>(copyObjectImpl(entry->expr));
		value->varno = 1;
		value->varnosyn = 0;
		values = lappend(values, makeTargetEntry(reinterpret_cast<Expr *>(value), number,
												 pstrdup(entry->resname), false));
		names = lappend(names, makeString(pstrdup(entry->resname)));
		Var *column =
			makeVar(SOURCE, number, value->vartype, value->vartypmod, value->varcollid, 0);
		query->targetList = lappend(query->targetList,
									makeTargetEntry(reinterpret_cast<Expr *>(column), entry->resno,
													pstrdup(entry->resname), false));
		if (is_identity(target->relid, entry->resno))
			query->override = OVERRIDING_SYSTEM_VALUE;
	}
	RangeTblEntry *source = makeNode(RangeTblEntry);
	source->rtekind = RTE_SUBQUERY;
	source->subquery = select_rows(rows_by_name(columns, 1), values);
	source->eref = makeAlias("moved", names);
	source->inFromCl = true;
	query->rtable = list_make2(target, source);
	query->jointree = makeFromExpr(list_make1(reference(SOURCE)), nullptr);
	query->cteList = list_make1(rows_in_with(columns));
	Returned state = {&columns, false};
	query->returningList =
		castNode(List, look_up_row(reinterpret_cast<Node *>(update->returningList), &state));
	*reads_row = state.reads_row;
	query->hasSubLinks = state.reads_row;
	return query;
}

plan::RemoteQuery *make_move(const plan::RemoteQuery *remote, Query *query, int position)
{
	auto *move = static_cast<plan::RemoteQuery *>(copyObjectImpl(remote));
	move->command = query->commandType;
	move->distribution_position = position;
	move->returns_rows = query->returningList != NIL;
	move->binary_results = binary_capable(query->returningList);
	const deparse::QueryTemplate text = deparse::make_query_template(query);
	move->pieces = text.pieces;
	move->holes = text.holes;
	return move;
}

} // namespace

void plan_moves(plan::RemoteQuery *remote, const Query *update, const RowColumns& columns,
				const catalog::Table& target, const Moves& moves)
{
	ListCell *cell;
	foreach (cell, moves.arriving)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		if (entry->resno == target.distribution_attno)
			remote->moved_position = reinterpret_cast<const Var *>(entry->expr)->varattno - 1;
	}
	plan::RemoteQuery *leave =
		make_move(remote, leaving_statement(update, columns, moves), remote->distribution_position);
	leave->relations = list_concat(list_make1_oid(target.relid), moves.referencing);
	bool reads_row;
	plan::RemoteQuery *arrive = make_move(
		remote, arriving_statement(update, columns, moves, &reads_row), remote->moved_position);
	arrive->relations = list_make1_oid(target.relid);
	arrive->row_by_row = reads_row;
	remote->moves = list_make2(leave, arrive);
}

void complete_moves(const plan::RemoteQuery *remote)
{
	ListCell *cell;
	foreach (cell, remote->moves)
		static_cast<plan::RemoteQuery *>(lfirst(cell))->run_as = remote->run_as;
}

} // namespace civitas::planner
