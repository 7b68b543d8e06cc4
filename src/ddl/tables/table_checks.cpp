/*
 * table_checks.cpp: what a table must be like to be distributed.
 */
#include "table_checks.h"
#include "civitas/catalog/hash_function.h"

#include "../objects/replication_checks.h"
#include "civitas/pg/compat.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/reltrigger.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

bool in_system_schema(Oid relid)
{
	const Oid schema = get_rel_namespace(relid);
	if (IsCatalogNamespace(schema) || IsToastNamespace(schema))
		return true;
	const char *name = get_namespace_name(schema);
	return name != nullptr && (strcmp(name, "information_schema") == 0 ||
							   strcmp(name, "citus") == 0 || strcmp(name, "citus_internal") == 0);
}

} // namespace

void open_for_distribution(Oid relid, LOCKMODE lock)
{
	/* The right to lock comes before the lock. */
	if (get_rel_name(relid) == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	if (!pg::owns(RelationRelationId, relid))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)),
					   get_rel_name(relid));
	LockRelationOid(relid, lock);
	const char *name = get_rel_name(relid);
	if (name == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));

	const char kind = get_rel_relkind(relid);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("\"%s\" is not a table that can be distributed", name),
						errdetail("Only ordinary and partitioned tables can be.")));
	if (in_system_schema(relid))
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("cannot distribute system catalog \"%s\"", name)));
	if (get_rel_persistence(relid) == RELPERSISTENCE_TEMP)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot distribute temporary table \"%s\"", name),
						errdetail("A temporary table exists in one session on one server only.")));
	catalog::ShardOwner owner;
	if (catalog::is_known_shard(relid, &owner))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a shard of table \"%s\"", name, get_rel_name(owner.relid))));
}

namespace {

[[noreturn]] void refuse_trigger(Oid relid, const Trigger& trigger, const char *detail,
								 const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("trigger \"%s\" is not supported on distributed table \"%s\"",
						   trigger.tgname, get_rel_name(relid)),
					errdetail_internal("%s", detail), errhint("%s", hint)));
}

} // namespace

void check_triggers(Oid relid, bool has_replicas)
{
	Relation relation = table_open(relid, NoLock);
	const TriggerDesc *triggers = relation->trigdesc;
	for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++)
	{
		const Trigger& trigger = triggers->triggers[i];
		if (trigger.tgisinternal)
			continue;
		if (has_replicas && TRIGGER_FOR_ROW(trigger.tgtype) && TRIGGER_FOR_BEFORE(trigger.tgtype))
			refuse_trigger(
				relid, trigger,
				"It would run on every copy of the row, and could make them differ.",
				"Use a trigger that fires after the row, a default, or a generated column.");
	}
	table_close(relation, NoLock);
}

[[noreturn]] static void refuse(const char *name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("cannot distribute table \"%s\"", name),
			 errdetail_internal("%s", detail)));
}

[[noreturn]] static void refuse_foreign_partition(Oid relid, Oid partition)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("cannot distribute table \"%s\"", get_rel_name(relid)),
					errdetail("\"%s\" is a foreign table.", get_rel_name(partition)),
					errhint("Detach it first: the rows of foreign tables are in no shard.")));
}

namespace {

/* All of them, before the first one is distributed. */
void check_kinds_of_partitions(Oid relid)
{
	List *partitions = find_all_inheritors(relid, NoLock, nullptr);
	ListCell *cell;
	foreach (cell, partitions)
		if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
			refuse_foreign_partition(relid, lfirst_oid(cell));
}

} // namespace

void check_distributable(Oid relid, bool is_partition)
{
	Relation relation = table_open(relid, NoLock);
	const char *name = RelationGetRelationName(relation);
	const Form_pg_class form = relation->rd_rel;

	if (catalog::find_table(relid) != nullptr)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
						errmsg("table \"%s\" is already distributed", name)));
	if (form->relkind == RELKIND_FOREIGN_TABLE)
		refuse_foreign_partition(relid, relid);
	if (form->relkind == RELKIND_PARTITIONED_TABLE)
		check_kinds_of_partitions(relid);
	if (form->relispartition && !is_partition)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot distribute partition \"%s\" by itself", name),
						errhint("Distribute the partitioned table \"%s\"; its partitions follow.",
								get_rel_name(get_partition_parent(relid, true)))));
	if (!form->relispartition && has_superclass(relid))
		refuse(name, "The table inherits from another table.");
	if (form->relkind == RELKIND_RELATION && has_subclass(relid) &&
		find_inheritance_children(relid, NoLock) != NIL)
		refuse(name, "Other tables inherit from the table.");
	if (OidIsValid(form->reloftype))
		refuse(name, "The table is of a composite type.");
	if (OidIsValid(getExtensionOfObject(RelationRelationId, relid)))
		refuse(name, "The table belongs to an extension.");
	check_not_replicated(relid);
	table_close(relation, NoLock);
	check_expressions(relid);
}

namespace {

/* Whether equal values may have another hash on another server, because oids are what is hashed. */
bool hash_depends_on_oids(Oid type)
{
	static constexpr Oid oid_aliases[] = {REGPROCOID,	  REGPROCEDUREOID, REGOPEROID,
										  REGOPERATOROID, REGCLASSOID,	   REGCOLLATIONOID,
										  REGTYPEOID,	  REGROLEOID,	   REGNAMESPACEOID,
										  REGCONFIGOID,	  REGDICTIONARYOID};
	for (const Oid alias : oid_aliases)
		if (type == alias)
			return true;
	check_stack_depth();
	const Oid element = get_element_type(type);
	if (OidIsValid(element))
		return hash_depends_on_oids(element);
	switch (get_typtype(type))
	{
	case TYPTYPE_ENUM:
		return true;
	case TYPTYPE_DOMAIN:
		return hash_depends_on_oids(getBaseType(type));
	case TYPTYPE_RANGE:
		return hash_depends_on_oids(get_range_subtype(type));
	case TYPTYPE_MULTIRANGE:
		return hash_depends_on_oids(get_range_subtype(get_multirange_range(type)));
	case TYPTYPE_COMPOSITE: {
		TupleDesc fields = lookup_rowtype_tupdesc(type, -1);
		bool depends = false;
		for (int i = 0; i < fields->natts; i++)
			depends = depends || (!TupleDescAttr(fields, i)->attisdropped &&
								  hash_depends_on_oids(TupleDescAttr(fields, i)->atttypid));
		ReleaseTupleDesc(fields);
		return depends;
	}
	default:
		return false;
	}
}

} // namespace

DistributionColumn check_distribution_column(Oid relid, const char *name)
{
	const AttrNumber attno = get_attnum(relid, name);
	if (attno == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("column \"%s\" of relation \"%s\" does not exist", name,
							   get_rel_name(relid))));
	if (attno < 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot distribute by system column \"%s\"", name)));
	if (get_attgenerated(relid, attno) != '\0')
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot distribute by generated column \"%s\"", name),
						errdetail("Its value is not known before the row has reached its shard.")));
	DistributionColumn column = {attno, InvalidOid, InvalidOid};
	int32 typmod;
	get_atttypetypmodcoll(relid, attno, &column.type, &typmod, &column.collation);
	if (!OidIsValid(catalog::find_hash_function(column.type)))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("data type %s of column \"%s\" cannot be hashed",
							   format_type_be(column.type), name),
						errdetail("It has no default operator class for access method \"hash\"."),
						errhint("Choose another distribution column.")));
	if (hash_depends_on_oids(column.type))
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot distribute by column \"%s\" of type %s", name,
					format_type_be(column.type)),
			 errdetail("What is hashed are internal numbers of enum labels or database objects, "
					   "which differ between servers."),
			 errhint("Choose another distribution column, or give the column type text.")));
	return column;
}

void check_unique_indexes(Oid relid, AttrNumber attno)
{
	Relation relation = table_open(relid, NoLock);
	List *indexes = RelationGetIndexList(relation);
	ListCell *cell;
	foreach (cell, indexes)
	{
		const Oid index_id = lfirst_oid(cell);
		Relation index = index_open(index_id, AccessShareLock);
		const Form_pg_index form = index->rd_index;
		bool holds = !form->indisunique && !form->indisexclusion;
		Oid *operators = nullptr;
		Oid *procedures;
		uint16 *strategies;
		if (form->indisexclusion)
			RelationGetExclusionInfo(index, &operators, &procedures, &strategies);
		for (int key = 0; !holds && key < form->indnkeyatts; key++)
			holds = form->indkey.values[key] == attno &&
					(operators == nullptr ||
					 op_mergejoinable(operators[key], get_atttype(relid, attno)) ||
					 op_hashjoinable(operators[key], get_atttype(relid, attno)));
		if (!holds)
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot distribute table \"%s\" by column \"%s\"",
						RelationGetRelationName(relation), get_attname(relid, attno, false)),
				 errdetail("%s \"%s\" does not hold the distribution column%s.",
						   form->indisexclusion ? "Exclusion constraint"
						   : form->indisprimary ? "Primary key"
												: "Unique index",
						   RelationGetRelationName(index),
						   form->indisexclusion ? " with an equality operator" : ""),
				 errhint(
					 "Uniqueness is checked within each shard, so the distribution column must be "
					 "part of the key.")));
		index_close(index, AccessShareLock);
	}
	table_close(relation, NoLock);
}

/* One foreign key of the table. */
struct ForeignKey
{
	const char *name;
	Oid referenced;
	char on_delete;
	char on_update;
	int keys;
	AttrNumber columns[INDEX_MAX_KEYS];
	AttrNumber referenced_columns[INDEX_MAX_KEYS];
	int set_count; /* of ON DELETE SET NULL (..) and SET DEFAULT (..); 0: all columns */
	AttrNumber set_columns[INDEX_MAX_KEYS];
};

namespace {

bool changes_columns(char action)
{
	return action == FKCONSTR_ACTION_SETNULL || action == FKCONSTR_ACTION_SETDEFAULT;
}

/* Whether what the key does to rows of the table reaches a column of the key. */
bool action_changes(const ForeignKey& key, AttrNumber attno)
{
	if (changes_columns(key.on_update) || key.on_update == FKCONSTR_ACTION_CASCADE)
		return true;
	if (!changes_columns(key.on_delete))
		return false;
	bool named = key.set_count == 0;
	for (int i = 0; i < key.set_count; i++)
		named = named || key.set_columns[i] == attno;
	return named;
}

void check_foreign_key(Oid relid, const ForeignKey& key, catalog::TableKind kind,
					   ColocationId colocation, AttrNumber attno)
{
	const catalog::Table *target = catalog::find_table(key.referenced);
	const bool to_itself = key.referenced == relid;
	const char *detail = nullptr;
	const char *hint = nullptr;

	if (!to_itself && target == nullptr)
	{
		if (kind == catalog::TableKind::Local)
			return;
		detail = "The referenced table is neither distributed nor a reference table.";
		hint = "Distribute the referenced table first, or make it a reference table.";
	}
	else if (kind == catalog::TableKind::Reference)
	{
		if (to_itself || target->kind == catalog::TableKind::Reference)
			return;
		detail = "A reference table can reference reference tables only.";
	}
	else if (kind == catalog::TableKind::Local)
	{
		if (to_itself || !target->is_distributed())
			return;
		detail = "A local table cannot reference a distributed table.";
	}
	else if (!to_itself && target->kind == catalog::TableKind::Local)
	{
		detail = "A distributed table cannot reference a local table.";
		hint = "Make the referenced table a reference table.";
	}
	else
	{
		const bool colocated = to_itself || target->colocation_id == colocation;
		const bool reference = !to_itself && target->kind == catalog::TableKind::Reference;
		const AttrNumber target_attno = to_itself ? attno : target->distribution_attno;
		bool on_column = kind == catalog::TableKind::SingleShard;
		bool holds_column = false;
		for (int i = 0; i < key.keys; i++)
		{
			holds_column = holds_column || (attno != 0 && key.columns[i] == attno);
			on_column =
				on_column || (key.columns[i] == attno && key.referenced_columns[i] == target_attno);
		}
		if (holds_column && action_changes(key, attno))
			detail = "Its action would change the distribution column.";
		else if (reference || (colocated && on_column))
			return;
		else if (!colocated)
		{
			detail = "The referenced table is not colocated with it.";
			hint =
				"Distribute both tables by the columns of the key, with colocate_with, or make the "
				"referenced table a reference table.";
		}
		else
			detail =
				"The distribution columns of the two tables do not face each other in the key.";
	}
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("foreign key \"%s\" of table \"%s\" to table \"%s\" is not possible",
						   key.name, get_rel_name(relid), get_rel_name(key.referenced)),
					errdetail_internal("%s", detail), hint != nullptr ? errhint("%s", hint) : 0));
}

} // namespace

void check_foreign_keys(Oid relid, catalog::TableKind kind, ColocationId colocation,
						AttrNumber attno)
{
	ScanKeyData scan_key;
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyInit(&scan_key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	SysScanDesc scan = systable_beginscan(constraints, ConstraintRelidTypidNameIndexId, true,
										  nullptr, 1, &scan_key);
	for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
	{
		const auto *form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
		if (form->contype != CONSTRAINT_FOREIGN || OidIsValid(form->conparentid))
			continue;
		ForeignKey key;
		key.name = NameStr(form->conname);
		key.referenced = form->confrelid;
		key.on_delete = form->confdeltype;
		key.on_update = form->confupdtype;
		DeconstructFkConstraintRow(tuple, &key.keys, key.columns, key.referenced_columns, nullptr,
								   nullptr, nullptr, &key.set_count, key.set_columns);
		check_foreign_key(relid, key, kind, colocation, attno);
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
}

List *referenced_tables(Oid relid)
{
	List *tables = NIL;
	ScanKeyData scan_key;
	Relation constraints = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyInit(&scan_key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	SysScanDesc scan = systable_beginscan(constraints, ConstraintRelidTypidNameIndexId, true,
										  nullptr, 1, &scan_key);
	for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
	{
		const auto *form = reinterpret_cast<Form_pg_constraint>(GETSTRUCT(tuple));
		if (form->contype == CONSTRAINT_FOREIGN)
			tables = list_append_unique_oid(tables, form->confrelid);
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
	return tables;
}

} // namespace civitas::ddl
