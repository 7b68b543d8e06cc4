/*
 * objects.cpp: statements about objects that every node has.
 *
 * Schemas, types, functions, views and all other kinds of kinds.h are kept on every node
 * (pg_dist_object); sequences belong to the tables that use them. What a statement makes is told by
 * the object access hook (drops.cpp) and given to the nodes afterwards (new_objects.cpp). A
 * statement that changes an object runs here and then, by its text, on every other node. One row
 * per statement kind says which objects it is about; PostgreSQL's get_object_address() finds them.
 *
 * Sequences hand out other values on every node, so that their bounds are not for users to set, and
 * a restart is the coordinator's alone.
 */
#include "objects.h"

#include "../settings.h"
#include "roles.h"

#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/catalog/writes.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"

CIVITAS_PG_BEGIN
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* --- is it kept on every node? ---------------------------------------------------------------- */

namespace {

/* A member of an extension is where the extension is. */
bool is_kept(Oid class_id, Oid object_id)
{
	if (!OidIsValid(object_id))
		return false;
	if (catalog::object_is_distributed(class_id, object_id))
		return true;
	const Oid extension = getExtensionOfObject(class_id, object_id);
	return OidIsValid(extension) && catalog::object_is_distributed(ExtensionRelationId, extension);
}

} // namespace

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

namespace {

ObjectAddress address_of(Oid class_id, Oid object_id)
{
	ObjectAddress address;
	ObjectAddressSet(address, class_id, object_id);
	return address;
}

constexpr ObjectAddress NOTHING = {InvalidOid, InvalidOid, 0};

/* What is kept for a name that may stand for any relation: a composite type has one as well. */
ObjectAddress relation_address(const RangeVar *relation)
{
	Oid relid = relation == nullptr ? InvalidOid : RangeVarGetRelid(relation, NoLock, true);
	if (!OidIsValid(relid))
		return NOTHING;
	const char kind = get_rel_relkind(relid);
	if (kind == RELKIND_COMPOSITE_TYPE)
		return address_of(TypeRelationId, get_rel_type_id(relid));
	if (kind == RELKIND_INDEX)
		relid = IndexGetRelation(relid, true);
	return address_of(RelationRelationId, relid);
}

ObjectAddress relation_address(List *names)
{
	return names == NIL ? NOTHING : relation_address(makeRangeVarFromNameList(names));
}

Node *type_name(Node *object)
{
	return IsA(object, List)
			   ? reinterpret_cast<Node *>(makeTypeNameFromNameList(castNode(List, object)))
			   : object;
}

/* Statements write the same kind of object in several ways. */
ObjectAddress object_address(ObjectType type, Node *object)
{
	if (object == nullptr)
		return NOTHING;
	switch (type)
	{
	case OBJECT_TABLE:
	case OBJECT_VIEW:
	case OBJECT_MATVIEW:
	case OBJECT_FOREIGN_TABLE:
	case OBJECT_SEQUENCE:
	case OBJECT_INDEX:
		return IsA(object, RangeVar) ? relation_address(castNode(RangeVar, object))
									 : relation_address(castNode(List, object));
	case OBJECT_COLUMN:
	case OBJECT_RULE:
	case OBJECT_TRIGGER:
	case OBJECT_TABCONSTRAINT:
	case OBJECT_POLICY:
		return relation_address(list_truncate(list_copy(castNode(List, object)),
											  list_length(castNode(List, object)) - 1));
	case OBJECT_TYPE:
	case OBJECT_DOMAIN:
		object = type_name(object);
		type = OBJECT_TYPE;
		break;
	case OBJECT_DOMCONSTRAINT:
		/* COMMENT names the type first, RENAME the type alone. */
		if (IsA(object, List) && IsA(linitial(castNode(List, object)), TypeName))
			object = static_cast<Node *>(linitial(castNode(List, object)));
		object = type_name(object);
		type = OBJECT_TYPE;
		break;
	case OBJECT_DATABASE:
	case OBJECT_ROLE:
	case OBJECT_TABLESPACE:
	case OBJECT_LARGEOBJECT:
	case OBJECT_DEFAULT:
	case OBJECT_DEFACL:
	case OBJECT_PARAMETER_ACL:
	case OBJECT_SUBSCRIPTION:
	case OBJECT_STATISTIC_EXT:
		return NOTHING;
	default:
		break;
	}
	Relation relation = nullptr;
	const ObjectAddress address =
		get_object_address(type, object, &relation, AccessShareLock, true);
	if (relation != nullptr)
		relation_close(relation, NoLock);
	return address;
}

/* All nodes have a database of this name. */
bool is_this_database(const char *name)
{
	return strcmp(name, get_database_name(MyDatabaseId)) == 0;
}

bool is_kept(const ObjectAddress& address)
{
	if (address.classId == RelationRelationId &&
		get_rel_relkind(address.objectId) == RELKIND_SEQUENCE)
		return sequence_is_kept(address.objectId);
	/* That one is on every node without anybody's doing. */
	if (address.classId == NamespaceRelationId &&
		address.objectId == get_namespace_oid("public", true))
		return true;
	return is_kept(address.classId, address.objectId);
}

bool schema_is_kept(const char *name)
{
	return is_kept(address_of(NamespaceRelationId, get_namespace_oid(name, true)));
}

/* --- what a statement is about ---------------------------------------------------------------- */

/* The statement concerns all nodes whatever it is about. */
const ObjectAddress EVERYWHERE = {InvalidOid, FirstNormalObjectId, 0};

List *one(const ObjectAddress& address)
{
	if (!OidIsValid(address.objectId))
		return NIL;
	auto *copy = static_cast<ObjectAddress *>(palloc(sizeof(ObjectAddress)));
	*copy = address;
	return list_make1(copy);
}

List *one(ObjectType type, const char *name)
{
	return one(object_address(type, reinterpret_cast<Node *>(makeString(pstrdup(name)))));
}

List *by_rename(Node *node)
{
	auto *statement = castNode(RenameStmt, node);
	if (statement->renameType == OBJECT_SCHEMA)
		return one(OBJECT_SCHEMA, statement->subname);
	if (statement->relation != nullptr)
		return one(relation_address(statement->relation));
	return one(object_address(statement->renameType, statement->object));
}

List *by_schema_change(Node *node)
{
	auto *statement = castNode(AlterObjectSchemaStmt, node);
	if (statement->relation != nullptr)
		return one(relation_address(statement->relation));
	return one(object_address(statement->objectType, statement->object));
}

List *by_dependency(Node *node)
{
	auto *statement = castNode(AlterObjectDependsStmt, node);
	if (statement->relation != nullptr)
		return one(relation_address(statement->relation));
	return one(object_address(statement->objectType, statement->object));
}

List *by_owner(Node *node)
{
	auto *statement = castNode(AlterOwnerStmt, node);
	if (statement->objectType == OBJECT_DATABASE)
		return is_this_database(strVal(statement->object)) ? one(EVERYWHERE) : NIL;
	return one(object_address(statement->objectType, statement->object));
}

List *by_enum(Node *node)
{
	return one(object_address(OBJECT_TYPE,
							  reinterpret_cast<Node *>(castNode(AlterEnumStmt, node)->typeName)));
}

List *by_domain(Node *node)
{
	return one(object_address(OBJECT_TYPE,
							  reinterpret_cast<Node *>(castNode(AlterDomainStmt, node)->typeName)));
}

List *by_type(Node *node)
{
	return one(object_address(OBJECT_TYPE,
							  reinterpret_cast<Node *>(castNode(AlterTypeStmt, node)->typeName)));
}

List *by_alter_function(Node *node)
{
	return one(object_address(OBJECT_ROUTINE,
							  reinterpret_cast<Node *>(castNode(AlterFunctionStmt, node)->func)));
}

/* ALTER TYPE of a composite type; ALTER VIEW; ALTER SEQUENCE .. OWNER TO. */
List *by_alter_table(Node *node)
{
	return one(relation_address(castNode(AlterTableStmt, node)->relation));
}

List *by_operator_family(Node *node)
{
	auto *statement = castNode(AlterOpFamilyStmt, node);
	return one(object_address(OBJECT_OPFAMILY,
							  reinterpret_cast<Node *>(lcons(makeString(statement->amname),
															 list_copy(statement->opfamilyname)))));
}

List *by_operator(Node *node)
{
	return one(object_address(
		OBJECT_OPERATOR, reinterpret_cast<Node *>(castNode(AlterOperatorStmt, node)->opername)));
}

List *by_collation(Node *node)
{
	return one(object_address(
		OBJECT_COLLATION, reinterpret_cast<Node *>(castNode(AlterCollationStmt, node)->collname)));
}

List *by_text_search_dictionary(Node *node)
{
	return one(
		object_address(OBJECT_TSDICTIONARY,
					   reinterpret_cast<Node *>(castNode(AlterTSDictionaryStmt, node)->dictname)));
}

List *by_text_search_configuration(Node *node)
{
	return one(object_address(
		OBJECT_TSCONFIGURATION,
		reinterpret_cast<Node *>(castNode(AlterTSConfigurationStmt, node)->cfgname)));
}

List *by_fdw(Node *node)
{
	return one(OBJECT_FDW, castNode(AlterFdwStmt, node)->fdwname);
}

List *by_server(Node *node)
{
	return one(OBJECT_FOREIGN_SERVER, castNode(AlterForeignServerStmt, node)->servername);
}

List *by_user_mapping(Node *node)
{
	return one(OBJECT_FOREIGN_SERVER, castNode(AlterUserMappingStmt, node)->servername);
}

List *by_event_trigger(Node *node)
{
	return one(OBJECT_EVENT_TRIGGER, castNode(AlterEventTrigStmt, node)->trigname);
}

List *by_extension(Node *node)
{
	return one(OBJECT_EXTENSION, castNode(AlterExtensionStmt, node)->extname);
}

List *by_extension_contents(Node *node)
{
	return one(OBJECT_EXTENSION, castNode(AlterExtensionContentsStmt, node)->extname);
}

List *by_rule(Node *node)
{
	return one(relation_address(castNode(RuleStmt, node)->relation));
}

List *by_trigger(Node *node)
{
	return one(relation_address(castNode(CreateTrigStmt, node)->relation));
}

/* Of a materialized view. */
List *by_index(Node *node)
{
	auto *statement = castNode(IndexStmt, node);
	return statement->concurrent ? NIL : one(relation_address(statement->relation));
}

List *by_comment(Node *node)
{
	auto *statement = castNode(CommentStmt, node);
	switch (statement->objtype)
	{
	case OBJECT_DATABASE:
		return is_this_database(strVal(statement->object)) ? one(EVERYWHERE) : NIL;
	case OBJECT_ROLE:
		return enable_create_role_propagation ? one(EVERYWHERE) : NIL;
	default:
		return one(object_address(statement->objtype, statement->object));
	}
}

List *by_label(Node *node)
{
	auto *statement = castNode(SecLabelStmt, node);
	switch (statement->objtype)
	{
	case OBJECT_DATABASE:
		return is_this_database(strVal(statement->object)) ? one(EVERYWHERE) : NIL;
	case OBJECT_ROLE:
		return enable_create_role_propagation ? one(EVERYWHERE) : NIL;
	default:
		return one(object_address(statement->objtype, statement->object));
	}
}

List *by_database(Node *node)
{
	return is_this_database(castNode(AlterDatabaseStmt, node)->dbname) ? one(EVERYWHERE) : NIL;
}

List *by_database_setting(Node *node)
{
	return is_this_database(castNode(AlterDatabaseSetStmt, node)->dbname) ? one(EVERYWHERE) : NIL;
}

List *by_default_rights(Node *)
{
	return one(EVERYWHERE);
}

List *by_alter_sequence(Node *node)
{
	auto *statement = castNode(AlterSeqStmt, node);
	const ObjectAddress sequence = relation_address(statement->sequence);
	if (!OidIsValid(sequence.objectId) || !is_kept(sequence))
		return NIL;
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
	return one(sequence);
}

/* Of parts that are not objects of a kind; drops of these are followed in drops.cpp. */
List *by_drop(Node *node)
{
	auto *statement = castNode(DropStmt, node);
	switch (statement->removeType)
	{
	case OBJECT_SEQUENCE:
	case OBJECT_RULE:
	case OBJECT_TRIGGER:
	case OBJECT_INDEX:
		break;
	default:
		if (catalog::is_coordinator())
			return NIL;
		break;
	}
	List *addresses = NIL;
	ListCell *cell;
	foreach (cell, statement->objects)
		addresses = list_concat(addresses, one(object_address(statement->removeType,
															  static_cast<Node *>(lfirst(cell)))));
	return addresses;
}

List *by_grant(Node *node)
{
	auto *statement = castNode(GrantStmt, node);
	if (statement->objtype == OBJECT_PARAMETER_ACL)
		return one(EVERYWHERE);
	List *addresses = NIL;
	ListCell *cell;
	foreach (cell, statement->objects)
	{
		auto *object = static_cast<Node *>(lfirst(cell));
		if (statement->targtype == ACL_TARGET_ALL_IN_SCHEMA)
		{
			if (schema_is_kept(strVal(object)))
				return one(EVERYWHERE);
		}
		else if (statement->objtype == OBJECT_DATABASE)
		{
			if (is_this_database(strVal(object)))
				return one(EVERYWHERE);
		}
		else
			addresses = list_concat(addresses, one(object_address(statement->objtype, object)));
	}
	return addresses;
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
List *by_reassign(Node *node)
{
	return pg::sql_text(with_roles(OWNED, castNode(ReassignOwnedStmt, node)->roles)) != nullptr
			   ? one(EVERYWHERE)
			   : NIL;
}

constexpr const char *REVOCATIONS = R"(
	SELECT format('REVOKE ALL ON %s FROM %I CASCADE', CASE
		WHEN s.classid = 'pg_database'::regclass THEN format('DATABASE %I', current_database())
		WHEN s.classid = 'pg_namespace'::regclass THEN (SELECT format('SCHEMA %I', nspname) FROM pg_namespace WHERE oid = s.objid)
		WHEN s.classid = 'pg_type'::regclass THEN format('TYPE %s', s.objid::regtype)
		WHEN s.classid = 'pg_proc'::regclass THEN format('ROUTINE %s', s.objid::regprocedure)
		WHEN s.classid = 'pg_language'::regclass THEN (SELECT format('LANGUAGE %I', lanname) FROM pg_language WHERE oid = s.objid)
		WHEN s.classid = 'pg_foreign_data_wrapper'::regclass THEN (SELECT format('FOREIGN DATA WRAPPER %I', fdwname) FROM pg_foreign_data_wrapper WHERE oid = s.objid)
		WHEN s.classid = 'pg_foreign_server'::regclass THEN (SELECT format('FOREIGN SERVER %I', srvname) FROM pg_foreign_server WHERE oid = s.objid)
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

/* Default rights of the roles become those of the server again, and others' name the roles no
 * more. */
constexpr const char *DEFAULT_RIGHTS = R"(
	SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I %s %s ON %s %s', pg_get_userbyid(d.defaclrole), 'IN SCHEMA ' || quote_ident(n.nspname),
		x.change, CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END, x.whom)
	FROM pg_shdepend s JOIN pg_default_acl d ON d.oid = s.objid LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace, LATERAL (
		SELECT 'REVOKE ALL' AS change, 'FROM ' || CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS whom
			FROM (SELECT DISTINCT grantee FROM aclexplode(d.defaclacl)) a WHERE s.deptype = 'o' OR a.grantee = s.refobjid
		UNION ALL SELECT 'GRANT ALL', 'TO ' || CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
			FROM (SELECT DISTINCT grantee FROM aclexplode(acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole))) a
			WHERE s.deptype = 'o' AND d.defaclnamespace = 0) x
	WHERE s.classid = 'pg_default_acl'::regclass AND s.refclassid = 'pg_authid'::regclass
		AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND s.refobjid IN ()";

} // namespace

List *revocations(const DropOwnedStmt *statement)
{
	return list_concat(pg::sql_texts(with_roles(REVOCATIONS, statement->roles)),
					   pg::sql_texts(with_roles(DEFAULT_RIGHTS, statement->roles)));
}

struct ObjectStatement
{
	NodeTag tag;
	List *(*addresses)(Node *); /* what it is about */
};

namespace {

constexpr ObjectStatement STATEMENTS[] = {
	{T_RenameStmt, by_rename},
	{T_AlterObjectSchemaStmt, by_schema_change},
	{T_AlterObjectDependsStmt, by_dependency},
	{T_AlterOwnerStmt, by_owner},
	{T_AlterEnumStmt, by_enum},
	{T_AlterDomainStmt, by_domain},
	{T_AlterTypeStmt, by_type},
	{T_AlterFunctionStmt, by_alter_function},
	{T_AlterTableStmt, by_alter_table},
	{T_AlterSeqStmt, by_alter_sequence},
	{T_AlterOpFamilyStmt, by_operator_family},
	{T_AlterOperatorStmt, by_operator},
	{T_AlterCollationStmt, by_collation},
	{T_AlterTSDictionaryStmt, by_text_search_dictionary},
	{T_AlterTSConfigurationStmt, by_text_search_configuration},
	{T_AlterFdwStmt, by_fdw},
	{T_AlterForeignServerStmt, by_server},
	{T_AlterUserMappingStmt, by_user_mapping},
	{T_AlterEventTrigStmt, by_event_trigger},
	{T_AlterExtensionStmt, by_extension},
	{T_AlterExtensionContentsStmt, by_extension_contents},
	{T_AlterDatabaseStmt, by_database},
	{T_AlterDatabaseSetStmt, by_database_setting},
	{T_AlterDefaultPrivilegesStmt, by_default_rights},
	{T_RuleStmt, by_rule},
	{T_CreateTrigStmt, by_trigger},
	{T_IndexStmt, by_index},
	{T_CommentStmt, by_comment},
	{T_SecLabelStmt, by_label},
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

bool changes_cluster_object(Node *statement, List **changed)
{
	const ObjectStatement *kind = find(statement);
	bool concerned = false;
	*changed = NIL;
	ListCell *cell;
	if (kind == nullptr)
		return false;
	foreach (cell, kind->addresses(statement))
	{
		auto *address = static_cast<ObjectAddress *>(lfirst(cell));
		if (!OidIsValid(address->classId))
			concerned = true;
		else if (is_kept(*address))
		{
			concerned = true;
			*changed = lappend(*changed, address);
		}
	}
	return concerned;
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
		return is_this_database(strVal(object));
	case OBJECT_PARAMETER_ACL:
		return true;
	default:
		return OidIsValid(object_address(statement->objtype, object).objectId);
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
