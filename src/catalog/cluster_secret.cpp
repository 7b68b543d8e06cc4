/*
 * cluster_secret.cpp: reading citus_internal.cluster_secret.
 *
 * The rows are read as a catalog's, not through SQL: a backend of any role opens sessions, but only
 * superusers may see the secret.
 */
#include "civitas/catalog/cluster_secret.h"
#include "civitas/catalog/nodes.h"
#include "civitas/catalog/relations.h"

CIVITAS_PG_BEGIN
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
CIVITAS_PG_END

#include <cstring>

namespace civitas::catalog {

namespace {

constexpr int COLUMN_SECRET = 1;
constexpr int COLUMN_CURRENT = 2;
constexpr int COLUMN_VALID_UNTIL = 3;

struct Row
{
	Secret secret;
	bool current;
};

/* visit(row) for the rows that are valid now, until it says true. */
template <typename Visit> bool find_row(Visit&& visit)
{
	Relation relation = table_open(relation_oid(Catalog::ClusterSecret), AccessShareLock);
	SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
	const TimestampTz now = GetCurrentTimestamp();
	bool found = false;
	for (HeapTuple tuple; !found && HeapTupleIsValid(tuple = systable_getnext(scan));)
	{
		Datum values[COLUMN_VALID_UNTIL];
		bool nulls[COLUMN_VALID_UNTIL];
		heap_deform_tuple(tuple, RelationGetDescr(relation), values, nulls);
		const bytea *bytes = DatumGetByteaPP(values[COLUMN_SECRET - 1]);
		if (VARSIZE_ANY_EXHDR(bytes) != SECRET_SIZE ||
			DatumGetTimestampTz(values[COLUMN_VALID_UNTIL - 1]) < now)
			continue;
		Row row;
		memcpy(row.secret.bytes, VARDATA_ANY(bytes), SECRET_SIZE);
		row.current = DatumGetBool(values[COLUMN_CURRENT - 1]);
		found = visit(row);
		explicit_bzero(&row, sizeof(row));
	}
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return found;
}

} // namespace

const Secret *cluster_secret()
{
	if (!extension_installed())
		return nullptr;
	auto *secret = static_cast<Secret *>(palloc(sizeof(Secret)));
	const bool found = find_row([&](const Row& row) {
		*secret = row.secret;
		return row.current;
	});
	if (!found)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this node does not have the secret of its cluster"),
			 errhint("Remove the node from the cluster and add it again; on the coordinator, call "
					 "citus_rotate_cluster_secret().")));
	return secret;
}

bool any_valid_secret(bool (*accepts)(const Secret&, void *), void *argument)
{
	if (!extension_installed())
		return false;
	return find_row([&](const Row& row) { return accepts(row.secret, argument); });
}

} // namespace civitas::catalog
