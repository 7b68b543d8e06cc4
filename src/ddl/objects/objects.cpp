/*
 * objects.cpp: statements about what tables rest on.
 *
 * Schemas, types, domains, functions and collations that a table of the metadata needs are kept on
 * every node (pg_dist_object); sequences belong to the tables that use them. A statement that
 * changes one runs here and then, by its text, on every other node. One row per statement kind says
 * which object it is about.
 *
 * Sequences hand out other values on every node, so that their bounds are not for users to set, and
 * a restart is the coordinator's alone.
 */
#include "objects.h"
#include "roles.h"

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/catalog/writes.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "parser/parse_oper.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* --- is it kept on every node? ---------------------------------------------------------------- */

namespace {

/* Everything that rests on the object, and whether a table of the metadata is among it. */
constexpr const char *USED_BY_TABLES = R"(
	WITH RECURSIVE users(class, id) AS (
		SELECT {class}::oid, {oid}::oid
		UNION
		SELECT x.class, x.id FROM users u CROSS JOIN LATERAL (
			SELECT d.classid, d.objid FROM pg_catalog.pg_depend d WHERE d.refclassid = u.class AND d.refobjid = u.id AND d.deptype <> 'e'
			UNION ALL SELECT 'pg_class'::regclass::oid, adrelid FROM pg_catalog.pg_attrdef WHERE u.class = 'pg_attrdef'::regclass AND oid = u.id
			UNION ALL SELECT 'pg_class'::regclass::oid, conrelid FROM pg_catalog.pg_constraint WHERE u.class = 'pg_constraint'::regclass AND oid = u.id
			UNION ALL SELECT 'pg_type'::regclass::oid, contypid FROM pg_catalog.pg_constraint WHERE u.class = 'pg_constraint'::regclass AND oid = u.id
			UNION ALL SELECT 'pg_class'::regclass::oid, indrelid FROM pg_catalog.pg_index WHERE u.class = 'pg_class'::regclass AND indexrelid = u.id
		) x(class, id) WHERE x.id <> 0)
	SELECT 1 FROM users JOIN pg_catalog.pg_dist_partition ON id = logicalrelid WHERE class = 'pg_class'::regclass LIMIT 1
)";

bool is_used_by_tables(Oid class_id, Oid object_id)
{
	pg::Str sql;
	const char *query = USED_BY_TABLES;
	for (const char *hole; (hole = strchr(query, '{')) != nullptr; query = strchr(hole, '}') + 1)
		sql.raw(query, static_cast<int>(hole - query))
			.oid(strncmp(hole, "{class}", 7) == 0 ? class_id : object_id);
	return pg::sql_text(sql.raw(query).c_str()) != nullptr;
}

/* The coordinator keeps a list of the objects; other nodes see who uses them. */
bool is_kept(Oid class_id, Oid object_id)
{
	if (!OidIsValid(object_id))
		return false;
	return catalog::is_coordinator() ? catalog::object_is_distributed(class_id, object_id)
									 : is_used_by_tables(class_id, object_id);
}

/* A sequence is kept where a column of a table of the metadata owns it or takes its default from
 * it. */
bool sequence_is_kept(Oid sequence)
{
	pg::Str sql;
	sql.raw("SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_dist_partition p ON "
			"p.logicalrelid = d.refobjid WHERE d.classid = 'pg_class'::regclass AND d.objid = ")
		.oid(sequence)
		.raw(" AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') UNION ALL "
			 "SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid "
			 "JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = a.adrelid "
			 "WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND "
			 "d.refobjid = ")
		.oid(sequence);
	return pg::sql_text(sql.c_str()) != nullptr;
}

/* A name in a statement that may stand for a sequence or a composite type. */
bool relation_is_kept(const RangeVar *relation)
{
	const Oid relid = relation == nullptr ? InvalidOid : RangeVarGetRelid(relation, NoLock, true);
	if (!OidIsValid(relid))
		return false;
	switch (get_rel_relkind(relid))
	{
	case RELKIND_SEQUENCE:
		return sequence_is_kept(relid);
	case RELKIND_COMPOSITE_TYPE:
		return is_kept(TypeRelationId, get_rel_type_id(relid));
	default:
		return false;
	}
}

bool type_is_kept(List *names)
{
	return is_kept(TypeRelationId,
				   LookupTypeNameOid(nullptr, makeTypeNameFromNameList(names), true));
}

bool function_is_kept(ObjectWithArgs *function)
{
	return is_kept(ProcedureRelationId, LookupFuncWithArgs(OBJECT_ROUTINE, function, true));
}

bool schema_is_kept(const char *name)
{
	/* That one is on every node without anybody's doing. */
	if (strcmp(name, "public") == 0 && catalog::is_coordinator())
		return true;
	return is_kept(NamespaceRelationId, get_namespace_oid(name, true));
}

/* An operator class or family: the access method's name and its own. */
bool operator_group_is_kept(ObjectType type, List *object)
{
	const Oid method = get_index_am_oid(strVal(linitial(object)), true);
	List *name = list_copy_tail(object, 1);
	if (!OidIsValid(method))
		return false;
	return type == OBJECT_OPCLASS
			   ? is_kept(OperatorClassRelationId, get_opclass_oid(method, name, true))
			   : is_kept(OperatorFamilyRelationId, get_opfamily_oid(method, name, true));
}

/* All nodes have a database of this name. */
bool is_this_database(Node *object)
{
	return strcmp(strVal(object), get_database_name(MyDatabaseId)) == 0;
}

bool object_is_kept(ObjectType type, Node *object)
{
	switch (type)
	{
	case OBJECT_SCHEMA:
		return schema_is_kept(strVal(object));
	case OBJECT_DATABASE:
		return is_this_database(object);
	case OBJECT_TYPE:
	case OBJECT_DOMAIN:
	case OBJECT_DOMCONSTRAINT:
		return type_is_kept(IsA(object, TypeName) ? castNode(TypeName, object)->names
												  : castNode(List, object));
	case OBJECT_FUNCTION:
	case OBJECT_PROCEDURE:
	case OBJECT_ROUTINE:
		return function_is_kept(castNode(ObjectWithArgs, object));
	case OBJECT_COLLATION: {
		const Oid collation = get_collation_oid(castNode(List, object), true);
		return is_kept(CollationRelationId, collation);
	}
	case OBJECT_OPERATOR:
		return is_kept(OperatorRelationId,
					   LookupOperWithArgs(castNode(ObjectWithArgs, object), true));
	case OBJECT_OPCLASS:
	case OBJECT_OPFAMILY:
		return operator_group_is_kept(type, castNode(List, object));
	case OBJECT_SEQUENCE:
		return relation_is_kept(IsA(object, RangeVar)
									? castNode(RangeVar, object)
									: makeRangeVarFromNameList(castNode(List, object)));
	default:
		return false;
	}
}

/* --- what a statement is about ---------------------------------------------------------------- */

bool by_rename(Node *node)
{
	auto *statement = castNode(RenameStmt, node);
	switch (statement->renameType)
	{
	case OBJECT_SCHEMA:
		return schema_is_kept(statement->subname);
	case OBJECT_ATTRIBUTE:
	case OBJECT_SEQUENCE:
	case OBJECT_TABLE: /* of a sequence too */
		return relation_is_kept(statement->relation);
	default:
		return statement->object != nullptr &&
			   object_is_kept(statement->renameType, statement->object);
	}
}

bool by_schema_change(Node *node)
{
	auto *statement = castNode(AlterObjectSchemaStmt, node);
	if (statement->relation != nullptr)
		return relation_is_kept(statement->relation);
	return object_is_kept(statement->objectType, statement->object);
}

bool by_owner(Node *node)
{
	auto *statement = castNode(AlterOwnerStmt, node);
	return object_is_kept(statement->objectType, statement->object);
}

bool by_enum(Node *node)
{
	return type_is_kept(castNode(AlterEnumStmt, node)->typeName);
}

bool by_domain(Node *node)
{
	return type_is_kept(castNode(AlterDomainStmt, node)->typeName);
}

bool by_alter_function(Node *node)
{
	return function_is_kept(castNode(AlterFunctionStmt, node)->func);
}

/* ALTER TYPE of a composite type; ALTER SEQUENCE .. OWNER TO. */
bool by_alter_table(Node *node)
{
	return relation_is_kept(castNode(AlterTableStmt, node)->relation);
}

/* Only replacing changes anything; the new definition goes where the old one is. */
bool by_create_function(Node *node)
{
	auto *statement = castNode(CreateFunctionStmt, node);
	if (!statement->replace)
		return false;
	char *name;
	const Oid schema = QualifiedNameGetCreationNamespace(statement->funcname, &name);
	auto *function = makeNode(ObjectWithArgs);
	function->objname = list_make2(makeString(get_namespace_name(schema)), makeString(name));
	ListCell *cell;
	foreach (cell, statement->parameters)
	{
		auto *parameter = lfirst_node(FunctionParameter, cell);
		if (parameter->mode != FUNC_PARAM_OUT && parameter->mode != FUNC_PARAM_TABLE)
			function->objargs = lappend(function->objargs, parameter->argType);
	}
	return function_is_kept(function);
}

bool by_alter_sequence(Node *node)
{
	auto *statement = castNode(AlterSeqStmt, node);
	if (!relation_is_kept(statement->sequence))
		return false;
	ListCell *cell;
	foreach (cell, statement->options)
	{
		const char *option = lfirst_node(DefElem, cell)->defname;
		if (strcmp(option, "as") == 0 || strcmp(option, "minvalue") == 0 ||
			strcmp(option, "maxvalue") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("the range of sequence \"%s\" cannot be changed, because distributed "
							"tables use it",
							statement->sequence->relname),
					 errdetail("Every node hands out values from a range of its own."),
					 errhint("Use undistribute_table() first.")));
	}
	return true;
}

bool by_drop(Node *node)
{
	auto *statement = castNode(DropStmt, node);
	/* The coordinator's drops of other things are followed in drops.cpp. */
	if (statement->removeType != OBJECT_SEQUENCE && catalog::is_coordinator())
		return false;
	ListCell *cell;
	foreach (cell, statement->objects)
		if (object_is_kept(statement->removeType, static_cast<Node *>(lfirst(cell))))
			return true;
	return false;
}

bool by_grant(Node *node)
{
	auto *statement = castNode(GrantStmt, node);
	ListCell *cell;
	foreach (cell, statement->objects)
	{
		auto *object = static_cast<Node *>(lfirst(cell));
		if (statement->targtype == ACL_TARGET_ALL_IN_SCHEMA
				? schema_is_kept(strVal(object))
				: object_is_kept(statement->objtype, object))
			return true;
	}
	return false;
}

char *with_roles(const char *query, List *roles)
{
	pg::Str sql;
	sql.raw(query);
	ListCell *cell;
	foreach (cell, roles)
		sql.raw(foreach_current_index(cell) > 0 ? ", " : "")
			.oid(get_rolespec_oid(lfirst_node(RoleSpec, cell), false));
	return sql.raw(")").c_str();
}

constexpr const char *OWNED = R"(
	SELECT 1 FROM pg_shdepend s JOIN (
		SELECT 'pg_class'::regclass::oid, logicalrelid::oid FROM pg_dist_partition
		UNION ALL SELECT classid, objid FROM pg_dist_object) o(class, id) ON s.classid = o.class AND s.objid = o.id
	WHERE s.deptype = 'o' AND s.refclassid = 'pg_authid'::regclass
		AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND s.refobjid IN ()";

/* Tables and objects of the metadata whose owner is one of the roles. */
bool by_reassign(Node *node)
{
	return pg::sql_text(with_roles(OWNED, castNode(ReassignOwnedStmt, node)->roles)) != nullptr;
}

constexpr const char *REVOCATIONS = R"(
	SELECT format('REVOKE ALL ON %s FROM %I CASCADE', CASE
		WHEN s.classid = 'pg_database'::regclass THEN format('DATABASE %I', current_database())
		WHEN s.classid = 'pg_namespace'::regclass THEN (SELECT format('SCHEMA %I', nspname) FROM pg_namespace WHERE oid = s.objid)
		WHEN s.classid = 'pg_type'::regclass THEN format('TYPE %s', s.objid::regtype)
		WHEN s.classid = 'pg_proc'::regclass THEN format('FUNCTION %s', s.objid::regprocedure)
		ELSE (SELECT format(CASE relkind WHEN 'S' THEN 'SEQUENCE %s' ELSE 'TABLE %s' END, s.objid::regclass) FROM pg_class WHERE oid = s.objid)
		END, pg_get_userbyid(s.refobjid))
	FROM pg_shdepend s
	WHERE s.deptype = 'a' AND s.refclassid = 'pg_authid'::regclass
		AND (s.classid = 'pg_database'::regclass AND s.objid = (SELECT oid FROM pg_database WHERE datname = current_database())
			OR s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()))
		AND (s.classid = 'pg_database'::regclass OR EXISTS (SELECT FROM pg_dist_object o WHERE o.classid = s.classid AND o.objid = s.objid)
			OR s.classid = 'pg_namespace'::regclass AND s.objid = to_regnamespace('public')
			OR s.classid = 'pg_class'::regclass AND (EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = s.objid)
				OR EXISTS (SELECT FROM pg_sequence WHERE seqrelid = s.objid)))
		AND s.refobjid IN ()";

} // namespace

List *revocations(const DropOwnedStmt *statement)
{
	return pg::sql_texts(with_roles(REVOCATIONS, statement->roles));
}

struct ObjectStatement
{
	NodeTag tag;
	bool (*concerns)(Node *);
};

namespace {

constexpr ObjectStatement STATEMENTS[] = {
	{T_RenameStmt, by_rename},
	{T_AlterObjectSchemaStmt, by_schema_change},
	{T_AlterOwnerStmt, by_owner},
	{T_AlterEnumStmt, by_enum},
	{T_AlterDomainStmt, by_domain},
	{T_AlterFunctionStmt, by_alter_function},
	{T_AlterTableStmt, by_alter_table},
	{T_CreateFunctionStmt, by_create_function},
	{T_AlterSeqStmt, by_alter_sequence},
	{T_DropStmt, by_drop},
	{T_GrantStmt, by_grant},
	{T_ReassignOwnedStmt, by_reassign},
};

const ObjectStatement *find(Node *statement)
{
	for (const ObjectStatement& kind : STATEMENTS)
		if (kind.tag == nodeTag(statement))
			return &kind;
	return nullptr;
}

} // namespace

bool may_change_objects(Node *statement)
{
	return find(statement) != nullptr;
}

bool changes_cluster_object(Node *statement)
{
	const ObjectStatement *kind = find(statement);
	return kind != nullptr && kind->concerns(statement);
}

/* --- on the other nodes ----------------------------------------------------------------------- */

namespace {

/* Whether this node has the object of a GRANT that was run on the coordinator. */
bool exists_here(const GrantStmt *statement, Node *object)
{
	if (statement->targtype == ACL_TARGET_ALL_IN_SCHEMA || statement->objtype == OBJECT_SCHEMA)
		return OidIsValid(get_namespace_oid(strVal(object), true));
	switch (statement->objtype)
	{
	case OBJECT_DATABASE:
		return is_this_database(object);
	case OBJECT_TABLE:
	case OBJECT_SEQUENCE:
		return OidIsValid(RangeVarGetRelid(castNode(RangeVar, object), NoLock, true));
	case OBJECT_TYPE:
	case OBJECT_DOMAIN:
		return OidIsValid(
			LookupTypeNameOid(nullptr, makeTypeNameFromNameList(castNode(List, object)), true));
	case OBJECT_FUNCTION:
	case OBJECT_PROCEDURE:
	case OBJECT_ROUTINE:
		return OidIsValid(
			LookupFuncWithArgs(statement->objtype, castNode(ObjectWithArgs, object), true));
	default:
		return true;
	}
}

bool localize_grant(GrantStmt *statement)
{
	ListCell *cell;
	foreach (cell, statement->objects)
		if (!exists_here(statement, static_cast<Node *>(lfirst(cell))))
			statement->objects = foreach_delete_current(statement->objects, cell);
	return statement->objects != NIL;
}

bool localize_alter_sequence(AlterSeqStmt *statement)
{
	ListCell *cell;
	foreach (cell, statement->options)
	{
		const char *option = lfirst_node(DefElem, cell)->defname;
		if (strcmp(option, "restart") == 0 || strcmp(option, "start") == 0)
			statement->options = foreach_delete_current(statement->options, cell);
	}
	return statement->options != NIL;
}

} // namespace

bool localize_object_statement(Node *statement)
{
	switch (nodeTag(statement))
	{
	case T_GrantStmt:
		return localize_grant(castNode(GrantStmt, statement));
	case T_AlterSeqStmt:
		return localize_alter_sequence(castNode(AlterSeqStmt, statement));
	case T_DropStmt:
		castNode(DropStmt, statement)->missing_ok = true;
		return true;
	default:
		return localize_role_statement(statement);
	}
}

} // namespace civitas::ddl
