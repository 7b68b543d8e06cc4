/*
 * bring_objects.cpp: objects become here what they are on the coordinator.
 *
 * The coordinator tells of each object what it is called and the statements that would make it
 * (kinds.h), in dependency order. This node asks its own catalogs for the same texts. An object
 * whose texts are the same is the same; one that is missing is made; another one is
 *
 *   changed in place   functions and views (CREATE OR REPLACE), extensions (their versions), labels
 *                      of enums, owners, comments and rights
 *   replaced           what cannot be changed, where all that depends on it is told as well: it is
 *                      dropped with all that, which is then missing, and made again
 *   an error           where something else depends on it: a table of this node, a view, ..
 *
 * What a node that comes back had in common with the others and is not told of any more was dropped
 * while it was away: it is dropped here, too, unless something of this node alone depends on it.
 *
 * A node that joins has dropped its shells and shards before, so that nothing holds on to what they
 * rested on.
 */
#include "civitas/catalog/node_session.h"
#include "civitas/catalog/propagation.h"
#include "civitas/catalog/writes.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/pg/vec.h"
#include "kinds.h"

CIVITAS_PG_BEGIN
#include "access/xact.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::ddl {

namespace {

/* An object as it is on the coordinator. */
struct Told
{
	const ObjectKind *kind;
	const char *identity;
	const char *name;
	List *creation; /* statements */
	List *state;
	List *rights;
};

struct Bringing
{
	pg::Vec<Told> objects;
	HTAB *known; /* ObjectAddress: those of them that are here */
	bool complete;
};

/* --- what is here ---------------------------------------------------------------------------- */

/* InvalidOid where it is missing. */
Oid find(const Told& told)
{
	return find_object(*told.kind, told.identity, told.name);
}

bool contains(List *texts, const char *text)
{
	ListCell *cell;
	foreach (cell, texts)
		if (strcmp(static_cast<const char *>(lfirst(cell)), text) == 0)
			return true;
	return false;
}

const char *first_statement(const Told& told)
{
	return static_cast<const char *>(linitial(told.creation));
}

char *describe(const Told& told, Oid object)
{
	ObjectAddress address;
	ObjectAddressSet(address, told.kind->class_id, object);
	return getObjectDescription(&address, false);
}

/* --- what depends on it ----------------------------------------------------------------------- */

bool is_known(const Bringing& bringing, Oid class_id, Oid object)
{
	const ObjectAddress address = {class_id, object, 0};
	return hash_search(bringing.known, &address, HASH_FIND, nullptr) != nullptr;
}

/* Part of something that is told, like an operator of a class. */
bool is_part_of_known(const Bringing& bringing, Oid class_id, Oid object)
{
	List *owners = pg::sql_texts(psprintf(
		"SELECT refclassid || ' ' || refobjid FROM pg_depend WHERE classid = %u AND objid = %u AND "
		"deptype IN ('i', 'a')",
		class_id, object));
	ListCell *cell;
	foreach (cell, owners)
	{
		char *rest;
		const Oid owner_class = strtoul(static_cast<char *>(lfirst(cell)), &rest, 10);
		if (is_known(bringing, owner_class, strtoul(rest, nullptr, 10)))
			return true;
	}
	return false;
}

/* What depends on the object, or on what does, and would not be made again: its description; null
 * where there is nothing. */
char *find_obstacle(const Bringing& bringing, Oid class_id, Oid object, HTAB *visited)
{
	check_stack_depth();
	List *users = pg::sql_texts(psprintf(
		"SELECT deptype::text || ' ' || classid || ' ' || objid || ' ' || objsubid FROM pg_depend "
		"WHERE refclassid = %u AND refobjid = %u AND deptype <> 'e'",
		class_id, object));
	ListCell *cell;
	foreach (cell, users)
	{
		char *text = static_cast<char *>(lfirst(cell));
		char *rest;
		ObjectAddress user = {};
		user.classId = strtoul(text + 2, &rest, 10);
		user.objectId = strtoul(rest, &rest, 10);
		bool seen;
		hash_search(visited, &user, HASH_ENTER, &seen);
		if (seen)
			continue;
		const bool comes_along = text[0] == 'i' || text[0] == 'a' ||
								 is_known(bringing, user.classId, user.objectId) ||
								 is_part_of_known(bringing, user.classId, user.objectId);
		if (!comes_along)
		{
			user.objectSubId = static_cast<int32>(strtol(rest, nullptr, 10));
			return getObjectDescription(&user, false);
		}
		char *obstacle = find_obstacle(bringing, user.classId, user.objectId, visited);
		if (obstacle != nullptr)
			return obstacle;
	}
	return nullptr;
}

HTAB *make_address_set()
{
	HASHCTL info = {};
	info.keysize = sizeof(ObjectAddress);
	info.entrysize = sizeof(ObjectAddress);
	info.hcxt = CurrentMemoryContext;
	return hash_create("objects", 64, &info, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* --- changing in place ------------------------------------------------------------------------ */

/* The line of a function's definition that tells its result, which CREATE OR REPLACE does not
 * change; the head of the statement where there is none. */
bool same_result(const char *one, const char *other)
{
	const char *start = strstr(one, "\n RETURNS ");
	const char *other_start = strstr(other, "\n RETURNS ");
	if (start == nullptr || other_start == nullptr)
		return start == other_start;
	return strncmp(start, other_start, strchr(start + 1, '\n') - start + 1) == 0;
}

List *labels_of(Oid type)
{
	return pg::sql_texts(psprintf(
		"SELECT enumlabel FROM pg_enum WHERE enumtypid = %u ORDER BY enumsortorder", type));
}

/* The labels of "CREATE TYPE .. AS ENUM ('a', ..)". */
List *labels_told(const char *statement)
{
	const char *list = strrchr(statement, '(');
	for (const char *at = strstr(statement, " AS ENUM ("); at != nullptr; at = nullptr)
		list = at + strlen(" AS ENUM ");
	return pg::sql_texts(psprintf("SELECT unnest(ARRAY[%.*s]::text[])",
								  static_cast<int>(strlen(list) - 2), list + 1));
}

int position_of(List *labels, const char *label, int from)
{
	for (int i = from; i < list_length(labels); i++)
		if (strcmp(static_cast<const char *>(list_nth(labels, i)), label) == 0)
			return i;
	return -1;
}

/*
 * ALTER TYPEs that make the labels of an enum those that are told, in order; false where that is
 * not possible. Between labels that both have, a label that is told no more has been renamed to a
 * new one in its place; other new ones were added.
 */
bool change_labels(const char *type, List *have, List *want, pg::Str *sql)
{
	int next = 0;
	for (int i = 0; i < list_length(want); i++)
	{
		const char *label = static_cast<const char *>(list_nth(want, i));
		const char *old =
			next < list_length(have) ? static_cast<const char *>(list_nth(have, next)) : nullptr;
		if (old != nullptr && strcmp(old, label) == 0)
		{
			next++;
			continue;
		}
		/* In another order. */
		if (position_of(have, label, 0) >= 0)
			return false;
		if (old != nullptr && position_of(want, old, 0) < 0)
		{
			sql->raw("ALTER TYPE ").raw(type).raw(" RENAME VALUE ").literal(old);
			sql->raw(" TO ").literal(label).ch(';');
			next++;
			continue;
		}
		sql->raw("ALTER TYPE ").raw(type).raw(" ADD VALUE ").literal(label);
		if (i > 0)
			sql->raw(" AFTER ").literal(static_cast<const char *>(list_nth(want, i - 1)));
		else if (old != nullptr)
			sql->raw(" BEFORE ").literal(old);
		sql->ch(';');
	}
	return next == list_length(have);
}

/* The statements of the creation that are not true here yet. */
char *missing_statements(List *creation, List *own)
{
	pg::Str sql;
	ListCell *cell;
	foreach (cell, creation)
		if (!contains(own, static_cast<const char *>(lfirst(cell))))
			sql.raw(static_cast<const char *>(lfirst(cell))).ch(';');
	return sql.c_str();
}

/* SQL that changes the object into what is told; null where there is no such. */
char *change_sql(const Told& told, Oid object, List *own)
{
	switch (told.kind->change)
	{
	case Change::Steps:
		return missing_statements(list_copy_tail(told.creation, 1), own);
	case Change::InPlace:
		return same_result(first_statement(told), static_cast<const char *>(linitial(own)))
				   ? missing_statements(told.creation, own)
				   : nullptr;
	default:
		break;
	}
	if (told.kind->class_id != TypeRelationId || get_typtype(object) != TYPTYPE_ENUM ||
		strstr(first_statement(told), " AS ENUM (") == nullptr)
		return nullptr;
	pg::Str sql;
	return change_labels(told.identity, labels_of(object), labels_told(first_statement(told)), &sql)
			   ? sql.c_str()
			   : nullptr;
}

/* --- the steps -------------------------------------------------------------------------------- */

bool is_another(const Told& told, List *own)
{
	ListCell *cell;
	if (told.kind->change == Change::Replace && list_length(own) != list_length(told.creation))
		return true;
	foreach (cell, told.creation)
		if (!contains(own, static_cast<const char *>(lfirst(cell))))
			return true;
	return false;
}

/* Drops objects that must be replaced, users first. Enums, whose new labels could not be used in
 * this transaction, rather than to change them. */
void drop_others(const Bringing& bringing)
{
	for (int i = bringing.objects.size() - 1; i >= 0; i--)
	{
		const Told& told = bringing.objects[i];
		const Oid object = find(told);
		List *own = OidIsValid(object) ? object_creation(*told.kind, object) : NIL;
		if (own == NIL || !is_another(told, own))
			continue;
		const bool changeable = change_sql(told, object, own) != nullptr;
		if (changeable && told.kind->class_id != TypeRelationId)
			continue;
		const char *obstacle =
			find_obstacle(bringing, told.kind->class_id, object, make_address_set());
		if (obstacle == nullptr)
		{
			pg::sql_run(drop_object_sql(*told.kind, object));
			CommandCounterIncrement();
		}
		else if (!changeable)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("%s is another one on this node than on the coordinator",
							describe(told, object)),
					 errdetail("It cannot be replaced, because %s depends on it here.", obstacle),
					 errhint("On this node, drop what depends on it, or make it what it is on the "
							 "coordinator.")));
	}
}

/* --- what was dropped meanwhile --------------------------------------------------------------- */

/* The objects that are not told of any more, users first; they stand in nobody's way. Extensions
 * stay: who uses their members is not known here. */
List *take_dropped_objects(const Bringing& bringing)
{
	List *dropped = NIL;
	List *lines = pg::sql_texts(
		"SELECT o FROM pg_dist_node_metadata, jsonb_array_elements_text(metadata -> 'objects') o "
		"ORDER BY split_part(o, ' ', 2)::bigint DESC");
	ListCell *cell;
	foreach (cell, lines)
	{
		char *rest;
		auto *address = static_cast<ObjectAddress *>(palloc0(sizeof(ObjectAddress)));
		address->classId = strtoul(static_cast<char *>(lfirst(cell)), &rest, 10);
		address->objectId = strtoul(rest, nullptr, 10);
		if (address->classId != ExtensionRelationId &&
			!is_known(bringing, address->classId, address->objectId) &&
			find_object_kind(address->classId, address->objectId) != nullptr)
			dropped = lappend(dropped, address);
	}
	foreach (cell, dropped)
		hash_search(bringing.known, lfirst(cell), HASH_ENTER, nullptr);
	pg::sql_run("UPDATE pg_dist_node_metadata SET metadata = metadata - 'objects' WHERE metadata ? "
				"'objects'");
	return dropped;
}

void drop_like_elsewhere(const Bringing& bringing, List *dropped)
{
	ListCell *cell;
	foreach (cell, dropped)
	{
		const auto *address = static_cast<const ObjectAddress *>(lfirst(cell));
		/* Null where it went with another one. */
		const ObjectKind *kind = find_object_kind(address->classId, address->objectId);
		if (kind == nullptr)
			continue;
		const char *obstacle =
			find_obstacle(bringing, address->classId, address->objectId, make_address_set());
		if (obstacle != nullptr)
		{
			ereport(LOG, (errmsg("%s, which other nodes do not have any more, stays on this node",
								 getObjectDescription(address, false)),
						  errdetail("%s depends on it.", obstacle)));
			continue;
		}
		pg::sql_run(drop_object_sql(*kind, address->objectId));
		CommandCounterIncrement();
	}
}

/* A right and its grantee, of "right ON object", grantee, option. */
void split_right(char *text, const char **right, const char **grantee, const char **option)
{
	*right = text;
	char *end = strchr(text, '\1');
	*end = '\0';
	*grantee = end + 1;
	end = strchr(end + 1, '\1');
	*end = '\0';
	*option = end + 1;
}

void bring_rights(const Told& told, Oid object)
{
	List *own = object_rights(*told.kind, object);
	bool same = list_length(own) == list_length(told.rights);
	ListCell *cell;
	foreach (cell, told.rights)
		same = same && contains(own, static_cast<const char *>(lfirst(cell)));
	if (same)
		return;
	pg::Str sql;
	const char *right;
	const char *grantee;
	const char *option;
	foreach (cell, own)
	{
		split_right(pstrdup(static_cast<const char *>(lfirst(cell))), &right, &grantee, &option);
		sql.raw("REVOKE ").raw(right).raw(" FROM ").raw(grantee).raw(" CASCADE;");
	}
	foreach (cell, told.rights)
	{
		split_right(pstrdup(static_cast<const char *>(lfirst(cell))), &right, &grantee, &option);
		sql.raw("GRANT ").raw(right).raw(" TO ").raw(grantee).raw(option).ch(';');
	}
	pg::sql_run(sql.c_str());
}

/* Rules and the like may name each other's views: they follow when all objects are there. */
List *creation_at_once(const Told& told)
{
	return told.kind->loose_parts == nullptr ? told.creation : list_make1(linitial(told.creation));
}

void run_missing(List *creation, List *own)
{
	const char *sql = missing_statements(creation, own);
	if (*sql != '\0')
		pg::sql_run(sql);
}

void bring_loose_parts(const Told& told)
{
	if (told.kind->loose_parts != nullptr && list_length(told.creation) > 1)
		run_missing(list_copy_tail(told.creation, 1), object_creation(*told.kind, find(told)));
}

/* Makes or changes it. */
Oid make(const Told& told, bool complete)
{
	Oid object = find(told);
	const bool made = !OidIsValid(object);
	List *own = made ? NIL : object_creation(*told.kind, object);
	const bool another = made || is_another(told, own);
	if (made)
		pg::sql_run(told.kind->change == Change::Steps
						? first_statement(told)
						: missing_statements(creation_at_once(told), NIL));
	else if (another && told.kind->loose_parts != nullptr)
		run_missing(creation_at_once(told), own);
	else if (another)
		pg::sql_run(change_sql(told, object, own));
	if (!another && !complete)
		return object;
	if (made)
	{
		CommandCounterIncrement();
		object = find(told);
	}
	List *state = object_state(*told.kind, object);
	ListCell *cell;
	foreach (cell, told.state)
		if (!contains(state, static_cast<const char *>(lfirst(cell))))
			pg::sql_run(static_cast<const char *>(lfirst(cell)));
	CommandCounterIncrement();
	bring_rights(told, object);
	return object;
}

/* This node knows then, too, that all nodes have it. */
void bring(const Bringing& bringing, const Told& told)
{
	const Oid object = make(told, bringing.complete);
	if (told.kind->change != Change::Shell)
		catalog::insert_object(told.kind->class_id, object, 0);
}

/* --- arguments -------------------------------------------------------------------------------- */

List *texts(Datum array)
{
	Datum *values;
	int count;
	List *list = NIL;
	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &values, nullptr,
					  &count);
	for (int i = 0; i < count; i++)
		list = lappend(list, TextDatumGetCString(values[i]));
	return list;
}

pg::Vec<int32> numbers(Datum array)
{
	Datum *values;
	int count;
	pg::Vec<int32> list;
	deconstruct_array(DatumGetArrayTypeP(array), INT4OID, 4, true, TYPALIGN_INT, &values, nullptr,
					  &count);
	for (int i = 0; i < count; i++)
		list.push(DatumGetInt32(values[i]));
	return list;
}

[[noreturn]] void refuse_arguments()
{
	ereport(ERROR, (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					errmsg("there must be a class, a name and statements for each object")));
}

List *part(List *all, int first, int count)
{
	List *some = NIL;
	if (count < 0 || first + count > list_length(all))
		refuse_arguments();
	for (int i = first; i < first + count; i++)
		some = lappend(some, list_nth(all, i));
	return some;
}

const ObjectKind *kind_named(const char *name)
{
	const ObjectKind *kind = find_object_kind(name);
	if (kind == nullptr)
		refuse_arguments();
	return kind;
}

pg::Vec<Told> objects_argument(FunctionCallInfo fcinfo)
{
	List *kinds = texts(PG_GETARG_DATUM(1));
	List *identities = texts(PG_GETARG_DATUM(2));
	List *names = texts(PG_GETARG_DATUM(3));
	List *statements = texts(PG_GETARG_DATUM(4));
	List *rights = texts(PG_GETARG_DATUM(5));
	const pg::Vec<int32> creation_counts = numbers(PG_GETARG_DATUM(6));
	const pg::Vec<int32> state_counts = numbers(PG_GETARG_DATUM(7));
	const pg::Vec<int32> right_counts = numbers(PG_GETARG_DATUM(8));
	const int count = list_length(kinds);
	if (list_length(identities) != count || list_length(names) != count ||
		creation_counts.size() != count || state_counts.size() != count ||
		right_counts.size() != count)
		refuse_arguments();
	pg::Vec<Told> objects;
	int statement = 0;
	int right = 0;
	for (int i = 0; i < count; i++)
	{
		if (creation_counts[i] < 1)
			refuse_arguments();
		Told told = {kind_named(static_cast<const char *>(list_nth(kinds, i))),
					 static_cast<const char *>(list_nth(identities, i)),
					 static_cast<const char *>(list_nth(names, i)),
					 part(statements, statement, creation_counts[i]),
					 NIL,
					 part(rights, right, right_counts[i])};
		statement += creation_counts[i];
		told.state = part(statements, statement, state_counts[i]);
		statement += state_counts[i];
		right += right_counts[i];
		objects.push(told);
	}
	return objects;
}

void bring_all(Bringing& bringing)
{
	for (const Told& told : bringing.objects)
	{
		const ObjectAddress address = {told.kind->class_id, find(told), 0};
		if (OidIsValid(address.objectId))
			hash_search(bringing.known, &address, HASH_ENTER, nullptr);
	}
	List *dropped = bringing.complete ? take_dropped_objects(bringing) : NIL;
	drop_others(bringing);
	drop_like_elsewhere(bringing, dropped);
	for (const Told& told : bringing.objects)
		bring(bringing, told);
	for (const Told& told : bringing.objects)
		bring_loose_parts(told);
}

} // namespace

CIVITAS_PG_BEGIN

/* bring_objects(complete, kinds, identities, names, statements, rights, how many statements make
 * each, how many more tell its state, how many rights each): what bring_objects_sql() says. Does as the caller what the caller
 * may do. */
PG_FUNCTION_INFO_V1(citus_internal_bring_objects);
PGDLLEXPORT Datum citus_internal_bring_objects(PG_FUNCTION_ARGS)
{
	catalog::require_node_call(fcinfo);
	Bringing bringing = {objects_argument(fcinfo), make_address_set(), PG_GETARG_BOOL(0)};
	const int level = NewGUCNestLevel();
	set_config_option("client_min_messages", "error", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
					  true, 0, false);
	set_config_option("check_function_bodies", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
					  true, 0, false);
	catalog::with_propagation_suspended([&] { bring_all(bringing); });
	AtEOXact_GUC(true, level);
	PG_RETURN_VOID();
}

CIVITAS_PG_END

} // namespace civitas::ddl
