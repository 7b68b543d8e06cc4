/*
 * shard_names.cpp: from table and shard id to a relation's name, and back.
 *
 * Names are computed, never stored. Going back, the digits after the last underscore name a shard;
 * its table's name must give the very name again, in the same schema.
 */
#include "civitas/catalog/node_session.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/tables.h"
#include "civitas/pg/sql_text.h"
#include "civitas/pg/str.h"
#include "civitas/shard/shard_name.h"

CIVITAS_PG_BEGIN
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"
CIVITAS_PG_END

namespace civitas::catalog {

namespace {

constexpr const char SHOW_SHARDS[] = "citus.show_shards_for_app_name_prefixes";

char *show_shards_prefixes = nullptr;
uint64 generation = 1;

void forget_names(Datum, Oid)
{
	generation++;
}

void forget_other_names(Datum, int, uint32)
{
	generation++;
}

bool check_prefixes(char **value, void **, GucSource)
{
	List *prefixes;
	char *copy = pstrdup(*value);
	if (SplitGUCList(copy, ',', &prefixes))
		return true;
	GUC_check_errdetail("List syntax is invalid.");
	return false;
}

} // namespace

uint64 names_generation()
{
	return generation;
}

char *shard_relation_name(const char *name, ShardId shard_id)
{
	char suffix[24];
	const int suffix_length = pg_snprintf(suffix, sizeof(suffix), "_" INT64_FORMAT, shard_id);
	const int name_length = static_cast<int>(strlen(name));
	if (name_length + suffix_length < NAMEDATALEN)
		return psprintf("%s%s", name, suffix);

	const uint32 hash = hash_bytes(reinterpret_cast<const unsigned char *>(name), name_length);
	const int room = NAMEDATALEN - 1 - suffix_length - 9;
	return psprintf("%.*s_%08x%s", pg_mbcliplen(name, name_length, room), name, hash, suffix);
}

char *qualified_shard_name(Oid relid, ShardId shard_id)
{
	const char *name = get_rel_name(relid);
	if (name == nullptr)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  shard_relation_name(name, shard_id));
}

bool is_known_shard(Oid relid, ShardOwner *owner)
{
	if (!extension_installed())
		return false;
	const char relkind = get_rel_relkind(relid);
	if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
		relid = IndexGetRelation(relid, true);
	const char *name = get_rel_name(relid);
	if (name == nullptr)
		return false;
	const ShardId shard_id = shard::id_in_name(name);
	ShardOwner found;
	if (shard_id == INVALID_SHARD_ID || !find_shard(shard_id, &found) || found.relid == relid)
		return false;
	const char *table_name = get_rel_name(found.relid);
	if (table_name == nullptr || get_rel_namespace(found.relid) != get_rel_namespace(relid) ||
		strcmp(shard_relation_name(table_name, shard_id), name) != 0)
		return false;
	if (owner != nullptr)
		*owner = found;
	return true;
}

bool shards_are_hidden()
{
	if (application_name == nullptr)
		return true;
	if (is_node_session())
		return false;
	if (show_shards_prefixes == nullptr || show_shards_prefixes[0] == '\0')
		return true;
	List *prefixes;
	char *copy = pstrdup(show_shards_prefixes);
	if (!SplitGUCList(copy, ',', &prefixes))
		return true;
	ListCell *cell;
	foreach (cell, prefixes)
	{
		const char *prefix = static_cast<const char *>(lfirst(cell));
		if (strcmp(prefix, "*") == 0 || strncmp(application_name, prefix, strlen(prefix)) == 0)
			return false;
	}
	return true;
}

namespace {

void show_all_shards()
{
	set_config_option(SHOW_SHARDS, "*", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
					  false);
}

} // namespace

void shard_names_init();

void shard_names_init()
{
	pg::own_query_hook = show_all_shards;
	DefineCustomStringVariable(
		SHOW_SHARDS, "Application name prefixes of sessions that see shards in the catalogs.",
		"A comma-separated list; * stands for every session. Set it to look at shards from psql.",
		&show_shards_prefixes, "", PGC_USERSET, 0, check_prefixes, nullptr, nullptr);
	CacheRegisterRelcacheCallback(forget_names, 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_other_names, 0);
	CacheRegisterSyscacheCallback(TYPEOID, forget_other_names, 0);
}

} // namespace civitas::catalog
