/*
 * columns.h: columns of tables, by number.
 */
#pragma once

#include "civitas/pg/server.h"

CIVITAS_PG_BEGIN
#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "utils/syscache.h"
CIVITAS_PG_END

namespace civitas::pg {

/* A column's name; null where it is dropped or does not exist: get_attname() names dropped ones. */
inline char *column_name(Oid relid, AttrNumber attno)
{
	HeapTuple tuple = SearchSysCacheAttNum(relid, attno);
	if (!HeapTupleIsValid(tuple))
		return nullptr;
	char *name = pstrdup(NameStr(reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attname));
	ReleaseSysCache(tuple);
	return name;
}

} // namespace civitas::pg
