/*
 * facts.cpp: what a statement is made of.
 *
 * One walk over all levels of the rewritten query (subqueries, CTEs, sublinks). Range table entries
 * that nothing refers to (the OLD and NEW of rules, ON CONFLICT's "excluded") count for
 * permissions, not as tables that are read.
 */
#include "internal.h"

#include "civitas/catalog/writes.h"
#include "civitas/deparse/query_template.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::planner {

namespace {

bool mentions_sharded_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		Query *query = castNode(Query, node);
		ListCell *cell;
		foreach (cell, query->rtable)
			if (deparse::is_sharded_rte(lfirst_node(RangeTblEntry, cell)))
				return true;
		return pg::walk_query(query, mentions_sharded_walker, context);
	}
	return pg::walk_children(node, mentions_sharded_walker, context);
}

struct Collector
{
	Facts *facts;
	Query *top;
};

void note_relation(Facts *facts, const RangeTblEntry *rte, bool written, bool top)
{
	if (!deparse::is_sharded_rte(rte))
	{
		facts->local_relations = true;
		facts->local_writes |= written;
		return;
	}
	facts->relations = list_append_unique_oid(facts->relations, rte->relid);
	facts->sharded_writes |= written && !top;
	const catalog::Table& table = catalog::get_table(rte->relid);
	if (written || !table.readable)
		catalog::require_sound(table);
	if (table.kind == catalog::TableKind::Reference)
		facts->reference_count++;
	else if (table.kind == catalog::TableKind::Hash || table.is_single())
		facts->sharded_count++;
	else
		facts->unsupported_kind = true;
}

void note_query(Facts *facts, Query *query, bool top)
{
	Bitmapset *used = deparse::range_table_references(reinterpret_cast<Node *>(query->jointree));
	if (query->resultRelation)
		used = bms_add_member(used, query->resultRelation);

	int index = 0;
	ListCell *cell;
	foreach (cell, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, cell);
		index++;
		facts->unknown |= !is_known_kind(rte);
		facts->security_quals |= rte->securityQuals != NIL || rte->security_barrier;
		pg::Rights *rights = pg::rights_of(query, rte);
		if (rte->rtekind == RTE_RELATION || rights != nullptr)
		{
			facts->range_tables = lappend(facts->range_tables, rte);
			facts->rights = lappend(facts->rights, rights);
		}
		if (rte->rtekind == RTE_RELATION && bms_is_member(index, used))
			note_relation(facts, rte, index == query->resultRelation, top);
		else if (rte->rtekind == RTE_NAMEDTUPLESTORE)
			facts->local_rows = true;
		facts->simple &= rte->rtekind == RTE_RELATION || rte->rtekind == RTE_RESULT;
	}
	facts->locks |= query->rowMarks != NIL;
	facts->waits_for_rows |= waits_for_rows(query->rowMarks);
	facts->simple &= top && bms_num_members(used) == 1 && query->cteList == NIL &&
					 query->setOperations == nullptr && !query->hasSubLinks;
}

bool collect_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
	{
		Collector *collector = static_cast<Collector *>(context);
		Query *query = castNode(Query, node);
		note_query(collector->facts, query, query == collector->top);
		return pg::walk_query(query, collect_walker, context);
	}
	static_cast<Collector *>(context)->facts->unknown |= !is_known_node(node);
	if (IsA(node, FieldStore) ||
		(IsA(node, SubscriptingRef) && castNode(SubscriptingRef, node)->refassgnexpr))
		static_cast<Collector *>(context)->facts->parts_computed = true;
	return pg::walk_children(node, collect_walker, context);
}

bool sequence_function(Oid function, void *)
{
	switch (function)
	{
	case F_NEXTVAL:
	case F_CURRVAL:
	case F_LASTVAL:
	case F_SETVAL_REGCLASS_INT8:
	case F_SETVAL_REGCLASS_INT8_BOOL:
		return true;
	default:
		return false;
	}
}

bool sequence_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, NextValueExpr) || check_functions_in_node(node, sequence_function, nullptr))
		return true;
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), sequence_walker, context);
	return pg::walk_children(node, sequence_walker, context);
}

/* PostgreSQL's own, an extension's that is everywhere, or recorded as being on every node. */
bool is_everywhere(Oid class_id, Oid object_id)
{
	if (object_id < FirstNormalObjectId)
		return true;
	if (catalog::object_is_distributed(class_id, object_id))
		return true;
	const Oid extension = getExtensionOfObject(class_id, object_id);
	if (OidIsValid(extension))
	{
		const char *name = get_extension_name(extension);
		return (name != nullptr && strcmp(name, "citus") == 0) ||
			   catalog::object_is_distributed(ExtensionRelationId, extension);
	}
	/* What makes values of a range type comes with the type. */
	const Oid type = class_id == ProcedureRelationId ? get_func_rettype(object_id) : InvalidOid;
	return type >= FirstNormalObjectId && catalog::is_part_of_type(object_id, type) &&
		   catalog::object_is_distributed(TypeRelationId, type);
}

/* Arrays and multiranges come with what they are made of, rows with their tables. */
bool type_is_everywhere(Oid type)
{
	if (type < FirstNormalObjectId)
		return true;
	const Oid element = get_element_type(type);
	if (OidIsValid(element))
		return type_is_everywhere(element);
	const Oid range =
		get_typtype(type) == TYPTYPE_MULTIRANGE ? get_multirange_range(type) : InvalidOid;
	if (OidIsValid(range))
		return type_is_everywhere(range);
	const Oid relid = get_typ_typrelid(type);
	if (OidIsValid(relid) && get_rel_relkind(relid) != RELKIND_COMPOSITE_TYPE)
		return catalog::find_table(relid) != nullptr || is_everywhere(RelationRelationId, relid);
	return is_everywhere(TypeRelationId, type);
}

bool local_function(Oid function, void *)
{
	return !is_everywhere(ProcedureRelationId, function);
}

/* Whether the expression itself names a type, an operator or, as a value, a text search object that
 * is not on every node. */
bool names_local_object(Node *node)
{
	switch (nodeTag(node))
	{
	case T_OpExpr:
	case T_DistinctExpr:
	case T_NullIfExpr:
		return !is_everywhere(OperatorRelationId, reinterpret_cast<OpExpr *>(node)->opno);
	case T_ScalarArrayOpExpr:
		return !is_everywhere(OperatorRelationId, castNode(ScalarArrayOpExpr, node)->opno);
	case T_Const: {
		const auto *constant = castNode(Const, node);
		if (!constant->constisnull && constant->consttype == REGCONFIGOID)
			return !is_everywhere(TSConfigRelationId, DatumGetObjectId(constant->constvalue));
		if (!constant->constisnull && constant->consttype == REGDICTIONARYOID)
			return !is_everywhere(TSDictionaryRelationId, DatumGetObjectId(constant->constvalue));
		return !type_is_everywhere(constant->consttype);
	}
	case T_Param:
	case T_RelabelType:
	case T_CoerceViaIO:
	case T_CoerceToDomain:
	case T_ArrayCoerceExpr:
	case T_ArrayExpr:
	case T_RowExpr:
	case T_ConvertRowtypeExpr:
		return !type_is_everywhere(exprType(node));
	default:
		return false;
	}
}

/* The collation that an expression names; those of columns and types came with their tables. */
Oid named_collation(Node *node)
{
	switch (nodeTag(node))
	{
	case T_CollateExpr:
		return castNode(CollateExpr, node)->collOid;
	case T_RelabelType:
		return castNode(RelabelType, node)->resultcollid ==
					   exprCollation(reinterpret_cast<Node *>(castNode(RelabelType, node)->arg))
				   ? InvalidOid
				   : castNode(RelabelType, node)->resultcollid;
	case T_Const:
		return castNode(Const, node)->constcollid;
	case T_Param:
		return castNode(Param, node)->paramcollid;
	default:
		return InvalidOid;
	}
}

bool local_objects_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), local_objects_walker, context);
	const Oid collation = named_collation(node);
	if (collation >= FirstNormalObjectId && collation != get_typcollation(exprType(node)) &&
		!is_everywhere(CollationRelationId, collation))
		return true;
	if (check_functions_in_node(node, local_function, nullptr) || names_local_object(node))
		return true;
	return pg::walk_children(node, local_objects_walker, context);
}

bool tableoid_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Var))
		return castNode(Var, node)->varattno == TableOidAttributeNumber;
	if (IsA(node, TargetEntry) && IsA(castNode(TargetEntry, node)->expr, Var))
		return false;
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), tableoid_walker, context);
	return pg::walk_children(node, tableoid_walker, context);
}

} // namespace

bool computes_with_tableoid(Node *node)
{
	return tableoid_walker(node, nullptr);
}

namespace {

bool own_function(Oid function, void *)
{
	return function >= FirstNormalObjectId;
}

bool own_function_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), own_function_walker, context);
	if (check_functions_in_node(node, own_function, nullptr))
	{
		/* citus_internal's are harmless in any name. */
		if (!IsA(node, FuncExpr) || get_func_namespace(castNode(FuncExpr, node)->funcid) !=
										get_namespace_oid("citus_internal", true))
			return true;
	}
	/* Values of domains are checked by functions, also inside of other types. */
	switch (nodeTag(node))
	{
	case T_Const:
	case T_Param:
	case T_CoerceToDomain:
	case T_CoerceViaIO:
	case T_ArrayCoerceExpr:
	case T_ArrayExpr:
	case T_RowExpr:
	case T_ConvertRowtypeExpr: {
		const Oid type = exprType(node);
		if (type >= FirstNormalObjectId && get_typtype(type) != TYPTYPE_ENUM)
			return true;
		break;
	}
	default:
		break;
	}
	return pg::walk_children(node, own_function_walker, context);
}

bool asks_for_shards(const pg::Rights *rights)
{
	return rights != nullptr && catalog::find_table(rights->relid) != nullptr;
}

bool has_rights(Oid role, const pg::Rights *rights)
{
	return !asks_for_shards(rights) || pg_class_aclmask(rights->relid, role, rights->requiredPerms,
														ACLMASK_ALL) == rights->requiredPerms;
}

bool has_all_rights(Oid role, List *rights)
{
	ListCell *cell;
	foreach (cell, rights)
		if (!has_rights(role, static_cast<const pg::Rights *>(lfirst(cell))))
			return false;
	return true;
}

bool place_walker(Node *node, void *context)
{
	if (node == nullptr)
		return false;
	if (IsA(node, Var))
		return castNode(Var, node)->varattno < 0;
	if (IsA(node, Query))
		return pg::walk_query(castNode(Query, node), place_walker, context);
	return pg::walk_children(node, place_walker, context);
}

/* Triggers of users would run in the name of whoever changes the shard; those of partitions, too. */
bool has_triggers(Oid relid)
{
	bool found = false;
	ListCell *cell;
	foreach (cell, find_all_inheritors(relid, AccessShareLock, nullptr))
	{
		Relation relation = RelationIdGetRelation(lfirst_oid(cell));
		found = found || relation == nullptr;
		for (int i = 0; relation && relation->trigdesc && i < relation->trigdesc->numtriggers; i++)
			found = found || !relation->trigdesc->triggers[i].tgisinternal;
		if (relation)
			RelationClose(relation);
	}
	return found;
}

bool has_policies(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return false;
	const bool has = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relrowsecurity;
	ReleaseSysCache(tuple);
	return has;
}

Oid owner_of(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	const Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

} // namespace

namespace {

/* The role that tables with policies are asked as; InvalidOid: there are none. */
Oid role_for_policies(List *rights)
{
	Oid role = InvalidOid;
	ListCell *cell;
	foreach (cell, rights)
	{
		const auto *asked = static_cast<const pg::Rights *>(lfirst(cell));
		if (!asks_for_shards(asked) || !has_policies(asked->relid))
			continue;
		const Oid own = OidIsValid(asked->checkAsUser) ? asked->checkAsUser : GetUserId();
		if (OidIsValid(role) && role != own)
			raise_unsupported("Tables with row-level security are read in the names of several "
							  "roles, because of views.");
		role = own;
	}
	return role;
}

} // namespace

Oid role_for_places(List *rights, Node *node)
{
	const Oid role = role_for_shards(rights, node);
	if (OidIsValid(role) || own_function_walker(node, nullptr))
		return role;
	Oid owner = InvalidOid;
	ListCell *cell;
	foreach (cell, rights)
	{
		const auto *asked = static_cast<const pg::Rights *>(lfirst(cell));
		if (!asks_for_shards(asked) || OidIsValid(asked->checkAsUser) ||
			pg_class_aclcheck(asked->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
			continue;
		if (has_triggers(asked->relid) || has_policies(asked->relid))
			return InvalidOid;
		owner = owner_of(asked->relid);
	}
	return OidIsValid(owner) && has_all_rights(owner, rights) ? owner : InvalidOid;
}

bool reads_places(Node *node)
{
	return place_walker(node, nullptr);
}

bool through_views(List *rights)
{
	ListCell *cell;
	foreach (cell, rights)
	{
		const auto *asked = static_cast<const pg::Rights *>(lfirst(cell));
		if (asked != nullptr && OidIsValid(asked->checkAsUser))
			return true;
	}
	return false;
}

Oid role_for_shards(List *rights, Node *node)
{
	const Oid subject = role_for_policies(rights);
	Oid role = OidIsValid(subject) && subject != GetUserId() ? subject : InvalidOid;
	ListCell *cell;
	foreach (cell, rights)
	{
		const auto *asked = static_cast<const pg::Rights *>(lfirst(cell));
		if (!asks_for_shards(asked) || !OidIsValid(asked->checkAsUser) ||
			asked->checkAsUser == GetUserId())
			continue;
		if (!has_rights(GetUserId(), asked))
			role = asked->checkAsUser;
	}
	if (OidIsValid(subject) && OidIsValid(role) &&
		(role != subject || own_function_walker(node, nullptr) || !has_all_rights(role, rights)))
		raise_unsupported("A table with row-level security is read in the name of a view's owner, "
						  "beside what others ask for.");
	if (!OidIsValid(role) || own_function_walker(node, nullptr) || !has_all_rights(role, rights))
		return InvalidOid;
	return role;
}

bool mentions_sharded(Query *query)
{
	return mentions_sharded_walker(reinterpret_cast<Node *>(query), nullptr);
}

bool has_sequence_function(Node *node)
{
	return sequence_walker(node, nullptr);
}

bool has_local_objects(Node *node)
{
	return local_objects_walker(node, nullptr);
}

void collect_facts(Query *query, Facts *facts)
{
	*facts = Facts();
	facts->simple = true;
	Collector collector = {facts, query};
	Node *node = reinterpret_cast<Node *>(query);
	collect_walker(node, &collector);
	facts->parts_computed = facts->parts_computed && deparse::assigns_unprintably(query);
	facts->volatile_functions = contain_volatile_functions(node);
	facts->here = why_here(node);
	facts->local_objects = has_local_objects(node);
	facts->tableoid = computes_with_tableoid(node);
	if (facts->unsupported_kind)
		raise_unsupported("Range and append distributed tables cannot be queried.");
}

void raise_unsupported(const char *detail, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot run this statement on distributed tables"),
					errdetail_internal("%s", detail), hint ? errhint("%s", hint) : 0));
}

} // namespace civitas::planner
