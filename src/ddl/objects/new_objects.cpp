/*
 * new_objects.cpp: objects become objects of every node.
 *
 * What a statement made is brought to the other nodes with all that it rests on, and recorded in
 * pg_dist_object; from then on statements about it run everywhere (objects.cpp). What rests on a
 * plain table or a temporary object is held back, and stays this node's own, until the table is
 * distributed. An object that is replaced (CREATE OR REPLACE) comes the same way.
 */
#include "new_objects.h"

#include "../settings.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/writes.h"
#include "civitas/ddl/objects.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/txn/transaction.h"
#include "kinds.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

namespace civitas::ddl {

namespace {

ObjectAddress *copy_of(const ObjectAddress& address)
{
	auto *copy = static_cast<ObjectAddress *>(palloc(sizeof(ObjectAddress)));
	*copy = address;
	return copy;
}

bool contains(List *addresses, const ObjectAddress& address)
{
	ListCell *cell;
	foreach (cell, addresses)
	{
		const auto *other = static_cast<const ObjectAddress *>(lfirst(cell));
		if (other->classId == address.classId && other->objectId == address.objectId &&
			other->objectSubId == address.objectSubId)
			return true;
	}
	return false;
}

bool is_recorded(const ObjectAddress& address)
{
	return catalog::object_is_distributed(address.classId, address.objectId);
}

/* Of the objects, with what they need: those that other nodes do not have yet, and the changed ones
 * themselves. */
List *to_bring(List *objects)
{
	List *bring = NIL;
	ListCell *cell;
	foreach (cell, objects)
	{
		const auto *object = static_cast<const ObjectAddress *>(lfirst(cell));
		bool held = false;
		List *needed = needed_objects(NIL, list_make1(copy_of(*object)), &held);
		if (held)
		{
			const ObjectKind *kind = find_object_kind(object->classId, object->objectId);
			if (kind != nullptr && is_recorded(*object))
				ereport(
					ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("%s is on every node and cannot rest on what only this node has",
							getObjectDescription(object, false)),
					 errhint("Distribute the table, use citus_add_local_table_to_metadata(), or "
							 "drop the object and make it anew.")));
			ereport(DEBUG1, (errmsg_internal("%s stays on this node, because of what it rests on",
											 getObjectDescription(object, true))));
			continue;
		}
		ListCell *other;
		foreach (other, needed)
		{
			const auto *address = static_cast<const ObjectAddress *>(lfirst(other));
			const bool changed =
				address->classId == object->classId && address->objectId == object->objectId;
			if ((changed || !is_recorded(*address)) && !contains(bring, *address))
				bring = lappend(bring, copy_of(*address));
		}
	}
	return bring;
}

void record(List *objects)
{
	ListCell *cell;
	foreach (cell, objects)
	{
		const auto *address = static_cast<const ObjectAddress *>(lfirst(cell));
		catalog::insert_object(address->classId, address->objectId, 0);
	}
}

List *addresses_of_lines(List *lines)
{
	List *objects = NIL;
	ListCell *cell;
	foreach (cell, lines)
	{
		char *rest;
		ObjectAddress address = {};
		address.classId = strtoul(static_cast<char *>(lfirst(cell)), &rest, 10);
		address.objectId = strtoul(rest, nullptr, 10);
		objects = lappend(objects, copy_of(address));
	}
	return objects;
}

} // namespace

void keep_objects(List *objects)
{
	List *bring = to_bring(objects);
	if (bring == NIL)
		return;
	if (!catalog::other_metadata_nodes().empty())
	{
		/* A node that joins meanwhile must not miss it. */
		catalog::lock_nodes(catalog::NodeLock::Define);
		txn::require_one_session_per_node();
		const char *sql = bring_objects_sql(bring, false);
		if (sql != nullptr)
			txn::run_on_other_nodes(sql);
	}
	record(bring);
}

void keep_new_objects(std::span<const ObjectAddress> made)
{
	if (!enable_metadata_sync || !catalog::is_coordinator())
		return;
	List *objects = NIL;
	for (const ObjectAddress& address : made)
	{
		ObjectAddress object = address;
		const Oid extension = getExtensionOfObject(object.classId, object.objectId);
		if (OidIsValid(extension))
			object = {ExtensionRelationId, extension, 0};
		if (contains(objects, object) ||
			find_object_kind(object.classId, object.objectId) == nullptr)
			continue;
		/* A member of one that was there already. */
		if (OidIsValid(extension) && is_recorded(object))
			continue;
		objects = lappend(objects, copy_of(object));
	}
	keep_objects(objects);
}

void keep_what_they_need(List *objects)
{
	List *missing = NIL;
	ListCell *cell;
	foreach (cell, needed_objects(NIL, objects))
	{
		const auto *address = static_cast<const ObjectAddress *>(lfirst(cell));
		if (!is_recorded(*address))
			missing = lappend(missing, copy_of(*address));
	}
	keep_objects(missing);
}

/* --- what rests on tables ----------------------------------------------------------------------- */

namespace {

constexpr const char *DEPENDENTS = R"(
	WITH RECURSIVE users(class, id) AS (
		SELECT 'pg_class'::regclass::oid, {oid}::oid
		UNION
		SELECT x.class, x.id FROM users u CROSS JOIN LATERAL (
			SELECT d.classid, d.objid FROM pg_depend d WHERE d.refclassid = u.class AND d.refobjid = u.id AND d.deptype <> 'e'
			UNION ALL SELECT 'pg_class'::regclass::oid, ev_class FROM pg_rewrite WHERE u.class = 'pg_rewrite'::regclass AND oid = u.id
		) x(class, id) WHERE x.id <> 0)
	SELECT class || ' ' || id FROM users WHERE id <> {oid} ORDER BY id
)";

List *dependents_of(List *tables)
{
	List *objects = NIL;
	ListCell *cell;
	foreach (cell, tables)
	{
		ListCell *other;
		foreach (other,
				 addresses_of_lines(pg::sql_texts(fill_object_query(DEPENDENTS, lfirst_oid(cell)))))
		{
			auto *address = static_cast<ObjectAddress *>(lfirst(other));
			if (has_object_kinds(address->classId) && !contains(objects, *address) &&
				find_object_kind(address->classId, address->objectId) != nullptr)
				objects = lappend(objects, address);
		}
	}
	return objects;
}

/* Of an object that is everywhere, these may have been held back. */
bool has_loose_parts(const ObjectAddress& address)
{
	const ObjectKind *kind = find_object_kind(address.classId, address.objectId);
	return kind != nullptr && kind->loose_parts != nullptr;
}

} // namespace

List *take_objects_over_tables(List *tables, List **objects)
{
	List *dependents = dependents_of(tables);
	if (dependents == NIL)
		return NIL;
	List *needed = needed_objects(tables, NIL);
	List *taken = NIL;
	ListCell *cell;
	foreach (cell, *objects)
	{
		auto *address = static_cast<ObjectAddress *>(lfirst(cell));
		if (!contains(dependents, *address) || contains(needed, *address))
			continue;
		taken = lappend(taken, address);
		*objects = foreach_delete_current(*objects, cell);
	}
	return taken;
}

void keep_dependents(List *tables)
{
	if (!enable_metadata_sync)
		return;
	List *objects = dependents_of(tables);
	ListCell *cell;
	foreach (cell, objects)
	{
		const auto *address = static_cast<const ObjectAddress *>(lfirst(cell));
		if (is_recorded(*address) && !has_loose_parts(*address))
			objects = foreach_delete_current(objects, cell);
	}
	keep_objects(objects);
}

void forget_dependents(List *tables)
{
	ListCell *cell;
	foreach (cell, dependents_of(tables))
	{
		const auto *address = static_cast<const ObjectAddress *>(lfirst(cell));
		bool held = false;
		needed_objects(NIL, list_make1(copy_of(*address)), &held);
		if (held)
			catalog::delete_object(address->classId, address->objectId, 0);
	}
}

namespace {

/* An extension is given only where it was made with the cluster there, for nodes need not have it. */
bool rests_on_unknown_extension(List *needed)
{
	ListCell *cell;
	foreach (cell, needed)
	{
		const auto *address = static_cast<const ObjectAddress *>(lfirst(cell));
		if (address->classId == ExtensionRelationId && !is_recorded(*address))
			return true;
	}
	return false;
}

constexpr const char *UNRECORDED = R"(
	SELECT %u || ' ' || oid FROM %s x WHERE oid >= 16384
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = %u AND d.objid = x.oid AND d.deptype = 'e')
		AND NOT EXISTS (SELECT FROM pg_dist_object o WHERE o.classid = %u AND o.objid = x.oid) ORDER BY oid
)";

} // namespace

void keep_all_objects()
{
	if (!enable_metadata_sync)
		return;
	const char *class_name = "pg_extension";
	for (const ObjectKind& kind : object_kinds())
	{
		if (strcmp(kind.class_name, class_name) == 0 || kind.class_id == ExtensionRelationId)
			continue;
		class_name = kind.class_name;
		ListCell *cell;
		foreach (cell, addresses_of_lines(pg::sql_texts(psprintf(
						   UNRECORDED, kind.class_id, class_name, kind.class_id, kind.class_id))))
		{
			const auto *address = static_cast<const ObjectAddress *>(lfirst(cell));
			if (find_object_kind(address->classId, address->objectId) == nullptr)
				continue;
			bool held = false;
			List *needed = needed_objects(NIL, list_make1(copy_of(*address)), &held);
			if (!held && !rests_on_unknown_extension(needed))
				record(needed);
		}
	}
}

} // namespace civitas::ddl
