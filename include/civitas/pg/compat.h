/*
 * compat.h: what differs between PostgreSQL 15 and 18, under the newest version's signature.
 *
 * The only place that tests PG_VERSION_NUM. Each shim says which version changed what; it goes
 * away when the older version is no longer supported.
 */
#pragma once

#include "civitas/pg/server.h"

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "Civitas supports PostgreSQL 15 to 18"
#endif

CIVITAS_PG_BEGIN
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
CIVITAS_PG_END

namespace civitas::pg {

} // namespace civitas::pg
