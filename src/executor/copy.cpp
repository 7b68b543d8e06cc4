/*
 * copy.cpp: COPY of a table of the metadata, from the statement on.
 *
 * COPY .. TO becomes COPY (SELECT ..) TO: PostgreSQL runs it, the planner sees an ordinary query.
 * COPY .. FROM is checked here as PostgreSQL checks it (source, read-only, rights on columns, row
 * security) and handed to copy_from.cpp.
 */
#include "civitas/executor/copy.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/compat.h"
#include "copy_internal.h"
#include "execution.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/copy.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
CIVITAS_PG_END

namespace civitas::executor {

bool is_distributed_copy(const CopyStmt *statement)
{
	if (statement->relation == nullptr || !catalog::extension_installed())
		return false;
	const Oid relid = RangeVarGetRelid(statement->relation, NoLock, true);
	return OidIsValid(relid) && catalog::find_table(relid) != nullptr;
}

/* --- COPY TO ---------------------------------------------------------------------------------- */

namespace {

Node *select_of_columns(Relation relation, List *attributes)
{
	auto *select = makeNode(SelectStmt);
	ListCell *cell;
	foreach (cell, attributes)
	{
		const Form_pg_attribute attribute =
			TupleDescAttr(RelationGetDescr(relation), lfirst_int(cell) - 1);
		auto *column = makeNode(ColumnRef);
		column->fields = list_make1(makeString(pstrdup(NameStr(attribute->attname))));
		column->location = -1;
		auto *target = makeNode(ResTarget);
		target->val = reinterpret_cast<Node *>(column);
		target->location = -1;
		select->targetList = lappend(select->targetList, target);
	}
	RangeVar *from = makeRangeVar(get_namespace_name(RelationGetNamespace(relation)),
								  pstrdup(RelationGetRelationName(relation)), -1);
	/* COPY of a table leaves its inheritance children out. */
	from->inh = relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
				!has_subclass(RelationGetRelid(relation));
	select->fromClause = list_make1(from);
	return reinterpret_cast<Node *>(select);
}

uint64 copy_to(ParseState *state, CopyStmt *statement, int location, int length)
{
	Relation relation = table_openrv(statement->relation, AccessShareLock);
	List *attributes = CopyGetAttnums(RelationGetDescr(relation), relation, statement->attlist);
	auto *query = static_cast<CopyStmt *>(copyObjectImpl(statement));
	query->query = select_of_columns(relation, attributes);
	query->relation = nullptr;
	query->attlist = NIL;
	table_close(relation, NoLock);

	uint64 processed = 0;
	DoCopy(state, query, location, length, &processed);
	return processed;
}

/* --- COPY FROM -------------------------------------------------------------------------------- */

void check_source_rights(const CopyStmt *statement)
{
	if (statement->filename == nullptr)
		return;
	const Oid role =
		statement->is_program ? ROLE_PG_EXECUTE_SERVER_PROGRAM : ROLE_PG_READ_SERVER_FILES;
	if (has_privs_of_role(GetUserId(), role))
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					statement->is_program
						? errmsg("permission denied to run a program on the server for COPY")
						: errmsg("permission denied to read a file of the server for COPY"),
					errdetail("It takes a superuser or a role with the privileges of \"%s\".",
							  GetUserNameFromId(role, false)),
					errhint("COPY FROM STDIN and psql's \\copy need no such privilege.")));
}

/* The WHERE clause as an implicitly ANDed list, NULL where there is none. */
Node *analyze_where(ParseState *state, ParseNamespaceItem *item, Node *clause)
{
	if (clause == nullptr)
		return nullptr;
	addNSItemToQuery(state, item, false, true, true);
	Node *where = transformExpr(state, clause, EXPR_KIND_COPY_WHERE);
	where = coerce_to_boolean(state, where, "WHERE");
	assign_expr_collations(state, where);
	where = eval_const_expressions(nullptr, where);
	where = reinterpret_cast<Node *>(canonicalize_qual(reinterpret_cast<Expr *>(where), false));
	return reinterpret_cast<Node *>(make_ands_implicit(reinterpret_cast<Expr *>(where)));
}

struct Copied
{
	ParseState *state;
	CopyStmt *statement;
	Relation relation;
	List *attributes;
	Node *where;
};

uint64 copy_rows(void *argument)
{
	const auto *copied = static_cast<const Copied *>(argument);
	return copy_rows_from(copied->state, copied->statement, copied->relation,
						  catalog::get_table(RelationGetRelid(copied->relation)),
						  copied->attributes, copied->where);
}

uint64 copy_from(ParseState *state, CopyStmt *statement)
{
	check_source_rights(statement);
	Relation relation = table_openrv(statement->relation, RowExclusiveLock);
	const Oid relid = RelationGetRelid(relation);
	if (XactReadOnly)
		PreventCommandIfReadOnly("COPY FROM");

	ParseNamespaceItem *item =
		addRangeTableEntryForRelation(state, relation, RowExclusiveLock, nullptr, false, false);
	pg::require_right(item, ACL_INSERT);
	Node *where = analyze_where(state, item, statement->whereClause);

	List *attributes = CopyGetAttnums(RelationGetDescr(relation), relation, statement->attlist);
	ListCell *cell;
	foreach (cell, attributes)
		pg::require_insert_into(item, lfirst_int(cell));
	pg::check_rights(state, item);
	if (check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("COPY FROM is not supported for tables with row-level security"),
						errhint("Use INSERT statements instead.")));

	Copied copied = {state, statement, relation, attributes, where};
	const uint64 processed = copy_with_triggers(state, relation, copy_rows, &copied);
	table_close(relation, NoLock);
	return processed;
}

} // namespace

uint64 run_distributed_copy(ParseState *state, CopyStmt *statement, int location, int length)
{
	catalog::check_extension_version();
	return statement->is_from ? copy_from(state, statement)
							  : copy_to(state, statement, location, length);
}

} // namespace civitas::executor
