/*
 * key_types.h: types that distribution columns are made of.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
CIVITAS_PG_END

namespace civitas::ddl {

/* Hash-distributed tables whose distribution column holds values of the type: as itself, as base type
 * of a domain, as element or as field. An oid list. */
List *tables_keyed_by(Oid type);
/* Those of a composite type, where other attributes would give its values other hashes. */
List *tables_keyed_by_attributes_of(Oid type);

/* ALTER TYPE of a composite type: other attributes give other hashes. 0A000 where a distribution
 * column holds such values. */
void check_alter_composite_type(const AlterTableStmt *statement);

} // namespace civitas::ddl
