/*
 * dependencies.cpp: what must exist on a node before a table or an object can be created there.
 *
 * A depth-first walk of pg_depend from the table (and its defaults, constraints, indexes,
 * statistics, owned sequences) or the object (and its parts, kinds.h); an object follows those that
 * it depends on. An extension stands for all its members. Pinned objects are not in pg_depend, so
 * the walk never meets them. A type brings its default operator classes, which nothing depends on
 * by the catalogs, but which decide what is equal and how it is hashed; one that has functions of
 * its own comes twice, as a shell before these functions and as itself after them. The node
 * compares what it has with what it is told (bring_objects.cpp), so nothing needs rights where
 * nothing is missing.
 *
 * An object that rests on something of this node alone (a plain table, a temporary object) is held
 * back: it stays here until that is everywhere. Rules, triggers and the like of a view stay without
 * it (own_parts.cpp).
 */
#include "civitas/catalog/tables.h"
#include "civitas/ddl/objects.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "kinds.h"
#include "objects.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>
#include <cstring>

namespace civitas::ddl {

namespace {

struct Walk
{
	HTAB *seen = nullptr; /* ObjectAddress */
	Oid root = InvalidOid;
	List *objects = NIL; /* in dependency order */
	bool held = false;	 /* something on the way is of this node alone */
	List *order = NIL;	 /* seen, in order */
};
CIVITAS_SERVER_STATE(Walk);

void visit(Walk *walk, Oid class_id, Oid object_id);

/* Visits everything that pg_depend says the object rests on. */
void visit_references(Walk *walk, Oid class_id, Oid object_id)
{
	pg::Vec<ObjectAddress> references;
	ScanKeyData keys[2];
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(class_id));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object_id));
	SysScanDesc scan = systable_beginscan(depend, DependDependerIndexId, true, nullptr, 2, keys);
	for (HeapTuple tuple; HeapTupleIsValid(tuple = systable_getnext(scan));)
	{
		const auto *row = reinterpret_cast<Form_pg_depend>(GETSTRUCT(tuple));
		references.push({row->refclassid, row->refobjid, 0});
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	for (const ObjectAddress& reference : references)
		visit(walk, reference.classId, reference.objectId);
}

/* Objects that hang off a table and bring dependencies of their own: "class oid" lines. */
constexpr const char *TABLE_PARTS = R"(
	SELECT 'pg_attrdef'::regclass::oid || ' ' || oid FROM pg_attrdef WHERE adrelid = {oid}
	UNION ALL SELECT 'pg_constraint'::regclass::oid || ' ' || oid FROM pg_constraint WHERE conrelid = {oid} AND contype IN ('c', 'x')
	UNION ALL SELECT 'pg_class'::regclass::oid || ' ' || indexrelid FROM pg_index WHERE indrelid = {oid}
	UNION ALL SELECT 'pg_trigger'::regclass::oid || ' ' || oid FROM pg_trigger WHERE tgrelid = {oid} AND NOT tgisinternal
	UNION ALL SELECT 'pg_policy'::regclass::oid || ' ' || oid FROM pg_policy WHERE polrelid = {oid}
	UNION ALL SELECT 'pg_rewrite'::regclass::oid || ' ' || r.oid FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
		WHERE r.ev_class = {oid} AND c.relkind IN ('r', 'p')
	UNION ALL SELECT 'pg_statistic_ext'::regclass::oid || ' ' || oid FROM pg_statistic_ext WHERE stxrelid = {oid}
	UNION ALL SELECT 'pg_class'::regclass::oid || ' ' || objid FROM pg_depend d JOIN pg_sequence ON seqrelid = objid
		WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {oid}
)";

/* Default operator classes of a type, and, for those of the server that nothing visits, of columns' types. They need
 * the type. */
constexpr const char *OPERATOR_CLASSES = R"(
	SELECT 'pg_opclass'::regclass::oid || ' ' || o.oid FROM pg_opclass o WHERE o.opcdefault AND o.oid >= 16384 AND o.opcintype IN (
		SELECT {oid} UNION ALL SELECT typbasetype FROM pg_type WHERE oid = {oid}
		UNION ALL SELECT t FROM pg_attribute a JOIN pg_type x ON x.oid = a.atttypid, unnest(ARRAY[x.oid, x.typelem, x.typbasetype]) t
		WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped)
)";

void visit_parts(Walk *walk, const char *parts, Oid object_id)
{
	List *lines = pg::sql_texts(fill_object_query(parts, object_id));
	ListCell *cell;
	foreach (cell, lines)
	{
		char *rest = nullptr;
		const Oid class_id = strtoul(static_cast<char *>(lfirst(cell)), &rest, 10);
		visit(walk, class_id, strtoul(rest, nullptr, 10));
	}
}

void add_object(Walk *walk, Oid class_id, Oid object_id, int32 sub_id)
{
	auto *address = static_cast<ObjectAddress *>(palloc(sizeof(ObjectAddress)));
	ObjectAddressSubSet(*address, class_id, object_id, sub_id);
	walk->objects = lappend(walk->objects, address);
}

/* The schema of a type whose shell comes before all that the type rests on. */
void visit_references_to_schema(Walk *walk, Oid class_id, Oid object_id)
{
	const char *schema = pg::sql_text(psprintf(
		"SELECT refobjid FROM pg_depend WHERE classid = %u AND objid = %u AND refclassid = %u",
		class_id, object_id, NamespaceRelationId));
	if (schema != nullptr)
		visit(walk, NamespaceRelationId, atooid(schema));
}

/* Whether this is the first time. */
bool mark_seen(Walk *walk, Oid class_id, Oid object_id)
{
	const ObjectAddress address = {class_id, object_id, 0};
	bool found;
	void *entry = hash_search(walk->seen, &address, HASH_ENTER, &found);
	if (!found)
		walk->order = lappend(walk->order, entry);
	return !found;
}

/* Whether the part can be on other nodes; otherwise the walk has not met it. */
bool visit_loose_part(Walk *walk, Oid class_id, Oid object_id)
{
	const bool held = walk->held;
	const int objects = list_length(walk->objects);
	const int seen = list_length(walk->order);
	walk->held = false;
	visit(walk, class_id, object_id);
	const bool stays = walk->held;
	walk->held = held;
	if (!stays)
		return true;
	for (int i = seen; i < list_length(walk->order); i++)
	{
		const ObjectAddress address = *static_cast<const ObjectAddress *>(list_nth(walk->order, i));
		hash_search(walk->seen, &address, HASH_REMOVE, nullptr);
	}
	walk->order = list_truncate(walk->order, seen);
	walk->objects = list_truncate(walk->objects, objects);
	return false;
}

/* Those that cannot be on other nodes: ObjectAddresses. */
List *visit_loose_parts(Walk *walk, const char *parts, Oid object_id)
{
	List *own = NIL;
	ListCell *cell;
	foreach (cell, pg::sql_texts(fill_object_query(parts, object_id)))
	{
		char *rest = nullptr;
		auto *part = static_cast<ObjectAddress *>(palloc0(sizeof(ObjectAddress)));
		part->classId = strtoul(static_cast<char *>(lfirst(cell)), &rest, 10);
		part->objectId = strtoul(rest, nullptr, 10);
		if (!visit_loose_part(walk, part->classId, part->objectId))
			own = lappend(own, part);
	}
	return own;
}

/* Whether the walk goes on through the relation. */
bool enter_relation(Walk *walk, Oid relid)
{
	switch (get_rel_relkind(relid))
	{
	case RELKIND_INDEX:
	case RELKIND_PARTITIONED_INDEX:
	case RELKIND_COMPOSITE_TYPE:
	case RELKIND_TOASTVALUE:
		return true;
	case RELKIND_SEQUENCE:
		/* Comes with the table that owns it. */
		walk->held |= !OidIsValid(walk->root) && !sequence_is_kept(relid);
		return true;
	case RELKIND_VIEW:
	case RELKIND_MATVIEW:
	case RELKIND_FOREIGN_TABLE:
		if (catalog::find_table(relid) == nullptr &&
			find_object_kind(RelationRelationId, relid) != nullptr)
			return true;
		break;
	default:
		break;
	}
	walk->held |= catalog::find_table(relid) == nullptr;
	return false;
}

bool is_temporary(Oid class_id, Oid object_id)
{
	return class_id == NamespaceRelationId && isAnyTempNamespace(object_id);
}

void visit(Walk *walk, Oid class_id, Oid object_id)
{
	check_stack_depth();
	if (class_id == RelationRelationId && object_id != walk->root &&
		!enter_relation(walk, object_id))
		return;
	/* initdb's, like pg_catalog.french_stem, are everywhere. */
	if (object_id < FirstNormalObjectId && class_id != NamespaceRelationId)
		return;
	if (!mark_seen(walk, class_id, object_id))
		return;
	walk->held |= is_temporary(class_id, object_id);
	const Oid extension = getExtensionOfObject(class_id, object_id);
	if (OidIsValid(extension))
	{
		visit(walk, ExtensionRelationId, extension);
		return;
	}
	const bool is_table = object_id == walk->root && class_id == RelationRelationId;
	const ObjectKind *kind = is_table ? nullptr : find_object_kind(class_id, object_id);
	if (kind != nullptr && strcmp(kind->name, "base type") == 0)
	{
		visit_references_to_schema(walk, class_id, object_id);
		add_object(walk, class_id, object_id, SHELL_OF_TYPE);
	}
	visit_references(walk, class_id, object_id);
	if (is_table)
		visit_parts(walk, TABLE_PARTS, object_id);
	else if (kind != nullptr && kind->parts != nullptr)
		visit_parts(walk, kind->parts, object_id);
	if (kind != nullptr && kind->loose_parts != nullptr)
		visit_loose_parts(walk, kind->loose_parts, object_id);
	if (kind != nullptr)
		add_object(walk, class_id, object_id, 0);
	if (is_table || class_id == TypeRelationId ||
		(class_id == RelationRelationId && get_rel_relkind(object_id) == RELKIND_COMPOSITE_TYPE))
		visit_parts(walk, OPERATOR_CLASSES, object_id);
}

Walk begin_walk()
{
	HASHCTL info = {};
	info.keysize = sizeof(ObjectAddress);
	info.entrysize = sizeof(ObjectAddress);
	info.hcxt = CurrentMemoryContext;
	Walk walk;
	walk.seen =
		hash_create("objects that tables need", 256, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return walk;
}

} // namespace

List *own_parts(const ObjectKind& kind, Oid object_id)
{
	if (kind.loose_parts == nullptr)
		return NIL;
	Walk walk = begin_walk();
	mark_seen(&walk, kind.class_id, object_id);
	List *own = visit_loose_parts(&walk, kind.loose_parts, object_id);
	hash_destroy(walk.seen);
	return own;
}

List *needed_objects(List *tables, List *objects, bool *held)
{
	Walk walk = begin_walk();
	ListCell *cell;
	foreach (cell, objects)
	{
		const auto *object = static_cast<const ObjectAddress *>(lfirst(cell));
		visit(&walk, object->classId, object->objectId);
	}
	foreach (cell, tables)
	{
		walk.root = lfirst_oid(cell);
		visit(&walk, RelationRelationId, walk.root);
	}
	hash_destroy(walk.seen);
	if (held != nullptr)
		*held = walk.held;
	return walk.objects;
}

namespace {

void append_texts(pg::Str& sql, List *texts)
{
	ListCell *cell;
	sql.raw("ARRAY[");
	foreach (cell, texts)
		sql.raw(foreach_current_index(cell) > 0 ? ", " : "")
			.literal(static_cast<const char *>(lfirst(cell)));
	sql.raw("]::pg_catalog.text[]");
}

void append_lengths(pg::Str& sql, List *lengths)
{
	ListCell *cell;
	sql.raw("ARRAY[");
	foreach (cell, lengths)
		sql.raw(foreach_current_index(cell) > 0 ? ", " : "").num(lfirst_int(cell));
	sql.raw("]::pg_catalog.int4[]");
}

} // namespace

char *bring_objects_sql(List *objects, bool complete)
{
	List *kinds = NIL;
	List *identities = NIL;
	List *names = NIL;
	List *statements = NIL;
	List *rights = NIL;
	List *creation_counts = NIL;
	List *state_counts = NIL;
	List *right_counts = NIL;
	ListCell *cell;
	foreach (cell, objects)
	{
		const auto *object = static_cast<const ObjectAddress *>(lfirst(cell));
		const ObjectKind *kind = kind_of_address(*object);
		if (kind == nullptr)
			continue;
		kinds = lappend(kinds, pstrdup(kind->name));
		identities = lappend(identities, object_identity(*kind, object->objectId));
		names = lappend(names, object_name(*kind, object->objectId));
		List *creation = object_creation(*kind, object->objectId);
		List *state = object_state(*kind, object->objectId);
		List *granted = object_rights(*kind, object->objectId);
		creation_counts = lappend_int(creation_counts, list_length(creation));
		state_counts = lappend_int(state_counts, list_length(state));
		right_counts = lappend_int(right_counts, list_length(granted));
		statements = list_concat(list_concat(statements, creation), state);
		rights = list_concat(rights, granted);
	}
	if (kinds == NIL)
		return nullptr;
	pg::Str sql;
	sql.raw("SELECT citus_internal.bring_objects(").boolean(complete);
	for (List *texts : {kinds, identities, names, statements, rights})
		append_texts(sql.raw(", "), texts);
	for (List *lengths : {creation_counts, state_counts, right_counts})
		append_lengths(sql.raw(", "), lengths);
	return sql.ch(')').c_str();
}

} // namespace civitas::ddl
