/*
 * dependencies.cpp: what must exist on a node before a table can be created there.
 *
 * A depth-first walk of pg_depend from the table (and its defaults, constraints, indexes,
 * statistics, owned sequences); an object follows those that it depends on. An extension stands for
 * all its members. Pinned objects are not in pg_depend, so the walk never meets them. A type brings
 * its default operator classes, which nothing depends on by the catalogs, but which decide what is
 * equal and how it is hashed. The node compares what it has with what it is told
 * (ddl/objects/bring_objects.cpp), so nothing needs rights where nothing is missing. What cannot be
 * recreated from the catalogs (base types, aggregates outside an extension) is not given: creating
 * the table then fails with the node's own error.
 */
#include "civitas/deparse/object_kinds.h"
#include "civitas/deparse/table_definition.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstdlib>
#include <cstring>

namespace civitas::deparse {

namespace {

struct Walk
{
	HTAB *seen = nullptr; /* ObjectAddress */
	Oid root = InvalidOid;
	List *objects = NIL; /* in dependency order */
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

/* Objects that hang off the one given and bring dependencies of their own: "class oid" lines. */
constexpr const char *PARTS = R"(
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
	UNION ALL SELECT 'pg_class'::regclass::oid || ' ' || typrelid FROM pg_type t JOIN pg_class c ON c.oid = typrelid
		WHERE t.oid = {oid} AND c.relkind = 'c'
	UNION ALL SELECT 'pg_constraint'::regclass::oid || ' ' || oid FROM pg_constraint WHERE contypid = {oid}
)";

/* Default operator classes of a type, and, for those of the server that nothing visits, of columns' types. They need
 * the type. */
constexpr const char *OPERATOR_CLASSES = R"(
	SELECT 'pg_opclass'::regclass::oid || ' ' || o.oid FROM pg_opclass o WHERE o.opcdefault AND o.oid >= 16384 AND o.opcintype IN (
		SELECT {oid} UNION ALL SELECT typbasetype FROM pg_type WHERE oid = {oid}
		UNION ALL SELECT t FROM pg_attribute a JOIN pg_type x ON x.oid = a.atttypid, unnest(ARRAY[x.oid, x.typelem, x.typbasetype]) t
		WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped)
)";

/* What an operator class is made of, and what an operator names. */
constexpr const char *OPERATOR_PARTS = R"(
	SELECT 'pg_operator'::regclass::oid || ' ' || m.amopopr FROM pg_opclass o JOIN pg_amop m ON m.amopfamily = o.opcfamily
		AND m.amoplefttype = o.opcintype AND m.amoprighttype = o.opcintype WHERE o.oid = {oid} AND m.amopopr >= 16384
	UNION ALL SELECT 'pg_proc'::regclass::oid || ' ' || m.amproc::oid FROM pg_opclass o JOIN pg_amproc m ON m.amprocfamily = o.opcfamily
		AND m.amproclefttype = o.opcintype AND m.amprocrighttype = o.opcintype WHERE o.oid = {oid} AND m.amproc::oid >= 16384
	UNION ALL SELECT 'pg_operator'::regclass::oid || ' ' || x FROM pg_operator o, unnest(ARRAY[o.oprcom, o.oprnegate]) x WHERE o.oid = {oid} AND x <> 0
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

void add_object(Walk *walk, Oid class_id, Oid object_id)
{
	const ObjectKind *kind = find_object_kind(class_id);
	if (kind == nullptr || pg::sql_text(fill_object_query(kind->identity, object_id)) == nullptr)
		return;
	auto *address = static_cast<ObjectAddress *>(palloc(sizeof(ObjectAddress)));
	ObjectAddressSet(*address, class_id, object_id);
	walk->objects = lappend(walk->objects, address);
}

/* Whether this is the first time. */
bool mark_seen(Walk *walk, Oid class_id, Oid object_id)
{
	const ObjectAddress address = {class_id, object_id, 0};
	bool found;
	hash_search(walk->seen, &address, HASH_ENTER, &found);
	return !found;
}

void visit(Walk *walk, Oid class_id, Oid object_id)
{
	if (class_id == RelationRelationId && object_id != walk->root)
	{
		/* Other tables are not ours to create; their sequences come with the table that owns them.
		 */
		const char kind = get_rel_relkind(object_id);
		if (kind != RELKIND_SEQUENCE && kind != RELKIND_INDEX &&
			kind != RELKIND_PARTITIONED_INDEX && kind != RELKIND_COMPOSITE_TYPE)
			return;
	}
	if (!mark_seen(walk, class_id, object_id))
		return;
	const Oid extension = getExtensionOfObject(class_id, object_id);
	if (OidIsValid(extension))
	{
		visit(walk, ExtensionRelationId, extension);
		return;
	}
	visit_references(walk, class_id, object_id);
	const bool has_columns =
		object_id == walk->root ||
		(class_id == RelationRelationId && get_rel_relkind(object_id) == RELKIND_COMPOSITE_TYPE);
	if (object_id == walk->root || class_id == TypeRelationId)
		visit_parts(walk, PARTS, object_id);
	else if (class_id == OperatorClassRelationId || class_id == OperatorRelationId)
		visit_parts(walk, OPERATOR_PARTS, object_id);
	add_object(walk, class_id, object_id);
	if (has_columns || class_id == TypeRelationId)
		visit_parts(walk, OPERATOR_CLASSES, object_id);
}

} // namespace

List *needed_objects(List *tables, List *objects)
{
	HASHCTL info = {};
	info.keysize = sizeof(ObjectAddress);
	info.entrysize = sizeof(ObjectAddress);
	info.hcxt = CurrentMemoryContext;
	Walk walk;
	walk.seen =
		hash_create("objects that tables need", 256, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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
	List *classes = NIL;
	List *identities = NIL;
	List *names = NIL;
	List *statements = NIL;
	List *rights = NIL;
	List *statement_counts = NIL;
	List *right_counts = NIL;
	ListCell *cell;
	foreach (cell, objects)
	{
		const auto *object = static_cast<const ObjectAddress *>(lfirst(cell));
		const ObjectKind *kind = find_object_kind(object->classId);
		const auto texts = [&](const char *query) {
			return query == nullptr ? NIL
									: pg::sql_texts(fill_object_query(query, object->objectId));
		};
		List *identity = kind == nullptr ? NIL : texts(kind->identity);
		if (identity == NIL)
			continue;
		classes = lappend(classes, pstrdup(kind->class_name));
		identities = lappend(identities, linitial(identity));
		names = lappend(names, linitial(texts(kind->name)));
		List *create = texts(kind->create);
		List *granted = texts(kind->rights);
		statement_counts = lappend_int(statement_counts, list_length(create));
		right_counts = lappend_int(right_counts, list_length(granted));
		statements = list_concat(statements, create);
		rights = list_concat(rights, granted);
	}
	if (classes == NIL)
		return nullptr;
	pg::Str sql;
	sql.raw("SELECT citus_internal.bring_objects(").boolean(complete);
	for (List *texts : {classes, identities, names, statements, rights})
		append_texts(sql.raw(", "), texts);
	for (List *lengths : {statement_counts, right_counts})
		append_lengths(sql.raw(", "), lengths);
	return sql.ch(')').c_str();
}

} // namespace civitas::deparse
