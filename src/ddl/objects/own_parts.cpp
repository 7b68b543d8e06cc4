/*
 * own_parts.cpp: parts of objects of every node that only this node has.
 *
 * A view is on every node where its query can be. A rule, trigger or default of it, or an index of a
 * materialized view, that rests on what only this node has (a plain table, a temporary function, a
 * sequence of nobody) stays here without holding the view back. Which parts these are is nowhere
 * recorded: what they rest on tells it (dependencies.cpp). A statement about such a part is this
 * node's own. One that makes a part of every node such a part (CREATE OR REPLACE RULE, SET DEFAULT)
 * takes it from the others; the other way, they get it by the statement's text.
 */
#include "own_parts.h"

#include "../utility_call.h"
#include "civitas/pg/sql_text.h"
#include "civitas/txn/transaction.h"
#include "kinds.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteSupport.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

/* --- the part that a statement names ----------------------------------------------------------- */

constexpr ObjectAddress NOTHING = {InvalidOid, InvalidOid, 0};

/* The name of an index stands for a part, that of another relation does not. */
ObjectAddress index_named(const RangeVar *name)
{
	const Oid relid = name == nullptr ? InvalidOid : RangeVarGetRelid(name, NoLock, true);
	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_INDEX)
		return NOTHING;
	return {RelationRelationId, relid, 0};
}

ObjectAddress part_named(ObjectType type, const RangeVar *relation, const char *name)
{
	const Oid relid = RangeVarGetRelid(relation, NoLock, true);
	if (!OidIsValid(relid))
		return NOTHING;
	if (type == OBJECT_RULE)
		return {RewriteRelationId, get_rewrite_oid(relid, name, true), 0};
	return {TriggerRelationId, get_trigger_oid(relid, name, true), 0};
}

bool is_rule_or_trigger(ObjectType type)
{
	return type == OBJECT_RULE || type == OBJECT_TRIGGER;
}

/* Rules and triggers are called by their relation and then themselves. */
ObjectAddress part_called(ObjectType type, Node *object)
{
	if (!is_rule_or_trigger(type) && type != OBJECT_INDEX)
		return NOTHING;
	auto *names = castNode(List, object);
	if (type == OBJECT_INDEX)
		return index_named(makeRangeVarFromNameList(names));
	List *relation = list_truncate(list_copy(names), list_length(names) - 1);
	return part_named(type, makeRangeVarFromNameList(relation), strVal(llast(names)));
}

ObjectAddress part_of_rename(const RenameStmt *statement)
{
	return is_rule_or_trigger(statement->renameType)
			   ? part_named(statement->renameType, statement->relation, statement->subname)
			   : index_named(statement->relation);
}

ObjectAddress part_of_dependency(const AlterObjectDependsStmt *statement)
{
	return statement->objectType == OBJECT_TRIGGER
			   ? part_named(OBJECT_TRIGGER, statement->relation,
							strVal(linitial(castNode(List, statement->object))))
			   : index_named(statement->relation);
}

ObjectAddress named_part(Node *node)
{
	switch (nodeTag(node))
	{
	case T_RuleStmt:
		return part_named(OBJECT_RULE, castNode(RuleStmt, node)->relation,
						  castNode(RuleStmt, node)->rulename);
	case T_CreateTrigStmt:
		return part_named(OBJECT_TRIGGER, castNode(CreateTrigStmt, node)->relation,
						  castNode(CreateTrigStmt, node)->trigname);
	case T_RenameStmt:
		return part_of_rename(castNode(RenameStmt, node));
	case T_AlterObjectDependsStmt:
		return part_of_dependency(castNode(AlterObjectDependsStmt, node));
	case T_AlterTableStmt:
		return index_named(castNode(AlterTableStmt, node)->relation);
	case T_CommentStmt:
		return part_called(castNode(CommentStmt, node)->objtype,
						   castNode(CommentStmt, node)->object);
	case T_DropStmt:
		if (list_length(castNode(DropStmt, node)->objects) == 1)
			return part_called(castNode(DropStmt, node)->removeType,
							   static_cast<Node *>(linitial(castNode(DropStmt, node)->objects)));
		return NOTHING;
	default:
		return NOTHING;
	}
}

/* --- which parts are this node's own? ----------------------------------------------------------- */

List *own_parts_of(List *objects)
{
	List *parts = NIL;
	ListCell *cell;
	foreach (cell, objects)
	{
		const auto *object = static_cast<const ObjectAddress *>(lfirst(cell));
		if (object->classId != RelationRelationId)
			continue;
		const ObjectKind *kind = find_object_kind(object->classId, object->objectId);
		if (kind != nullptr)
			parts = list_concat(parts, own_parts(*kind, object->objectId));
	}
	return parts;
}

bool contains(List *parts, const ObjectAddress& part)
{
	ListCell *cell;
	foreach (cell, parts)
	{
		const auto *other = static_cast<const ObjectAddress *>(lfirst(cell));
		if (other->classId == part.classId && other->objectId == part.objectId)
			return true;
	}
	return false;
}

/* --- what other nodes have in its place ---------------------------------------------------------- */

constexpr const char *DROP_RULE = R"(
	SELECT format('DROP RULE IF EXISTS %I ON %I.%I', r.rulename, n.nspname, c.relname)
	FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.oid = {oid}
)";

constexpr const char *DROP_TRIGGER = R"(
	SELECT format('DROP TRIGGER IF EXISTS %I ON %I.%I', t.tgname, n.nspname, c.relname)
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.oid = {oid}
)";

constexpr const char *DROP_DEFAULT = R"(
	SELECT format('ALTER VIEW %I.%I ALTER COLUMN %I DROP DEFAULT', n.nspname, c.relname, a.attname)
	FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.oid = {oid}
)";

void drop_elsewhere(const ObjectAddress& part)
{
	const char *query = nullptr;
	if (part.classId == RewriteRelationId)
		query = DROP_RULE;
	else if (part.classId == TriggerRelationId)
		query = DROP_TRIGGER;
	else if (part.classId == AttrDefaultRelationId)
		query = DROP_DEFAULT;
	const char *drop =
		query == nullptr ? nullptr : pg::sql_text(fill_object_query(query, part.objectId));
	if (drop != nullptr)
		txn::run_on_other_nodes(apply_call(drop, NIL));
}

void check_single(Node *statement, const ObjectAddress& part)
{
	if (!IsA(statement, AlterTableStmt) ||
		list_length(castNode(AlterTableStmt, statement)->cmds) == 1)
		return;
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("%s rests on what only this node has and cannot be changed together "
						   "with what is on every node",
						   getObjectDescription(&part, false)),
					errhint("Use a statement for each change.")));
}

bool makes_part(Node *statement)
{
	return IsA(statement, RuleStmt) || IsA(statement, CreateTrigStmt);
}

} // namespace

OwnParts note_own_parts(Node *statement, List *objects)
{
	return {own_parts_of(objects), objects == NIL ? NOTHING : named_part(statement)};
}

bool concerns_own_parts(Node *statement, List *objects, const OwnParts& before)
{
	if (!makes_part(statement) && contains(before.parts, before.named))
		return true;
	List *parts = own_parts_of(objects);
	if (parts == NIL)
		return false;
	bool concerned = contains(parts, named_part(statement));
	ListCell *cell;
	foreach (cell, parts)
	{
		const auto *part = static_cast<const ObjectAddress *>(lfirst(cell));
		if (contains(before.parts, *part))
			continue;
		concerned = true;
		check_single(statement, *part);
		if (!makes_part(statement) || OidIsValid(before.named.objectId))
			drop_elsewhere(*part);
	}
	return concerned;
}

} // namespace civitas::ddl
